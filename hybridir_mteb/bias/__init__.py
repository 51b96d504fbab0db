"""Language bias of a system: measured, compared and drawn."""
