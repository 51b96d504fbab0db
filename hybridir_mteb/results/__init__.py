"""From MTEB's result files to tables."""
