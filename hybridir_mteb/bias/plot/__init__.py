"""Pictures of language bias."""

from hybridir_mteb._moved import old_names

__getattr__ = old_names(
    "bias.plot", "bias.plot.draw", "DEFAULT_MATRIX SUFFIXES check_suffix write_plot"
)
