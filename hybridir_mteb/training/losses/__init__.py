"""Losses: InfoNCE through sentence-transformers, and terms that methods add to it."""
