"""Measures of effectiveness and of language bias, computed from ranks."""
