"""Where training data come from; each reader gives a ``Source`` of parallel items."""
