"""Results as one web page, to sort, filter and compare in any browser."""
