"""Toy encoders and collections, and what else several test modules share."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
REPOSITORY = TESTS.parent
