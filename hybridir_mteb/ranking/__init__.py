"""From vectors or scores to exact ranks."""
