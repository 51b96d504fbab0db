"""Scores against parameters: public and own results, and laws of what grows with size."""
