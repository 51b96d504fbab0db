"""Collections written as BEIR folders, TREC files, or the layout that MTEB reads from the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hybridir_mteb.collections.export.folder import Exported, Origin, write_export
from hybridir_mteb.collections.export.formats import ExportSubset, Format

__path__: list[str] = []  # was a package up to 0.1: its modules are found by their old paths

__all__ = ["ExportSubset", "Exported", "Format", "Origin", "export_task", "write_export"]


def export_task(
    task: str,
    folder: str | Path,
    *,
    format: str = "beir",  # noqa: A002 -- the word of the command line
    subsets: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a task of a collection as files that other toolkits read.

    Args:
        task: Name of a task, such as ``XQuADRMultilingualRetrieval``; ``hybridir tasks`` lists
            them.
        folder: Where; it is made. It appears whole or not at all.
        format: ``beir``, ``trec`` or ``jsonl``.
        subsets: Names, such as ``de`` or ``de-en``; by default all.
        overwrite: Replace an older export in the same place.

    Returns:
        What was written.

    Raises:
        UnknownNameError: No such task, subset or format.
        SettingError: The folder exists and is not to be overwritten, or is no export.
        DataUnavailableError: The collection's files are not here.
        DataFormatError: An id that the format cannot hold.
    """
    from hybridir_mteb.adapters.mteb.export import export_subsets, origin_of
    from hybridir_mteb.collections.export.folder import check_target

    chosen = Format.of(format)
    check_target(Path(folder), overwrite=overwrite)  # before long reading
    parts = export_subsets(task, subsets)
    return write_export(parts, origin_of(task), Path(folder), chosen, overwrite=overwrite)
