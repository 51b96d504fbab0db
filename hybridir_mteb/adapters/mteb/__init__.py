"""MTEB meets the package here: its tasks, encoders, registries and benchmarks.

mteb is imported first: its import triggers the autoload hook, which imports the modules of this
folder, and would find the one that is being imported half-initialised.
"""

import mteb  # noqa: F401
