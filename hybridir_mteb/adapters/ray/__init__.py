"""Ray as a host: encoding and search on a cluster, in which every worker is expendable."""
