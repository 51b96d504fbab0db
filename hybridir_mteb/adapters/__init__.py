"""Toolkits meet the package here and nowhere else; modules that import mteb do so at first use."""
