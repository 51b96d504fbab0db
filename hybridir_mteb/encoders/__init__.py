"""From texts to vectors: encoders, their identity, and what is kept of their embeddings."""

from hybridir_mteb._moved import old_names

NAMES = (
    "encoder_metas from_hub load_encoder to_hub trained_on "
    "ADAPTED BYTES_PER_PARAMETER TASKS_OF_ORIGIN TRAINING_CODE"
)
PLACES = "adapters.mteb.metas adapters.mteb.load encoders.hub"
__getattr__ = old_names("encoders", PLACES, NAMES)
