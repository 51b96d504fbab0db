"""Training of encoders: data, batches, losses, trainer. Imported only when something is trained."""
