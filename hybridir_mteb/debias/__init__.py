"""Training-free debiasing: statistics of languages, estimated once and applied to embeddings."""
