"""What was measured of the processor at hand: remembered, else read from its record, else measured.

Each measurement has a file whose name says all that decides it. What a process has measured or read
it keeps: nothing changes in the midst of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from hybridir_mteb.errors import DataFormatError, HybridIRError
from hybridir_mteb.files.record import read_record, write_record

Found = TypeVar("Found")
DAMAGED = (OSError, DataFormatError, KeyError, TypeError, ValueError, AttributeError)


class Probes(Generic[Found]):
    """Measurements of one kind.

    Args:
        read: What a record holds -> the measurement. What it raises for a record that holds none
            (``DAMAGED``) lets the measurement be made again.
        record: A measurement -> what its record holds.
    """

    def __init__(
        self, read: Callable[[dict[str, Any]], Found], record: Callable[[Found], dict[str, Any]]
    ) -> None:
        self._read, self._record = read, record
        self._known: dict[Path, Found] = {}

    def kept(self, file: Path) -> Found | None:
        """What a file holds; None if there is none, or none that can be believed."""
        with suppress(*DAMAGED):
            return self._read(read_record(file))
        return None

    def known(self, file: Path) -> Found | None:
        """What is remembered or kept; nothing is measured for it."""
        return self._known.get(file) or self.kept(file)

    def get(self, file: Path, measure: Callable[[], Found]) -> Found:
        """What is known, or is measured now, and then kept where that is possible."""
        if file not in self._known:
            self._known[file] = self.kept(file) or self._fresh(file, measure)
        return self._known[file]

    def forget(self) -> None:
        """Forget what was read or measured, as another process does not know it."""
        self._known.clear()

    def _fresh(self, file: Path, measure: Callable[[], Found]) -> Found:
        found = measure()
        earlier = self.kept(file)  # another process was quicker
        if earlier is not None:
            return earlier
        with suppress(OSError, HybridIRError):  # where nothing can be written, each run measures
            write_record(file, self._record(found))
        return found
