"""Readers of collection formats."""
