"""Scores against parameters: public and own results, what grows with size, and how far that reaches."""
