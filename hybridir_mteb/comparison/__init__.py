"""Paired comparisons of systems by question, over seeds, corrected for their number."""
