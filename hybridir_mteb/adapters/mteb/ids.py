"""Ids of passages, looked at before anything is encoded: unique, and fit for the files to come.

Reading millions of passages for their ids takes minutes, encoding them takes hours: so it is done
first, and remembered of each source that is found sound.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import ListedPassages, PassageSource, expected_passages
from hybridir_mteb.collections.readers.verify import duplicates, hash_of
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files import digest_of
from hybridir_mteb.files.progress import progress
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.repeats import Repeats
from hybridir_mteb.ranking.trec import check_id

logger = logging.getLogger(__name__)

BOTH, UNIQUE = "unique and without blanks", "unique"


def check_passage_ids(source: PassageSource, *, trec: bool = False) -> None:
    """Refuse a source with an id that occurs twice, or that is no text.

    Args:
        source: The passages; read once, a second time only if an id seems to occur twice.
        trec: Also refuse ids that the columns of TREC's files cannot hold.

    Raises:
        DataFormatError: There is such an id; the message names it.
        DataUnavailableError: A file is missing.
        NoSpaceError: The disk of the cache is full.
    """
    if isinstance(source, ListedPassages):
        _read(source, trec)
        return
    place = paths.cache_dir() / "ids" / f"{digest_of('1', source.name, source.fingerprint)}.json"
    with suppress(OSError, DataFormatError, KeyError):  # then they are looked at again
        if read_record(place)["ids"] in ({BOTH} if trec else {BOTH, UNIQUE}):
            return
    _read(source, trec)
    try:
        write_record(place, {"source": source.name, "ids": BOTH if trec else UNIQUE})
    except OSError as error:
        logger.info("%s cannot be written (%s): ids are read again next time", place, error)


def check_ids(ids: Iterable[str]) -> None:
    """Refuse ids that the columns of TREC's files cannot hold.

    Raises:
        DataFormatError: There is such an id.
    """
    for identifier in ids:
        check_id(identifier)


def _read(source: PassageSource, trec: bool) -> None:
    with Repeats(paths.cache_dir()) as ids:
        for passage in progress(
            source.passages(),
            desc=f"reading ids of {source.name}",
            total=expected_passages(source),
            unit=" passages",
            unit_scale=True,
            leave=False,
            disable=isinstance(source, ListedPassages),
        ):
            if not isinstance(passage.id, str) or not passage.id:
                raise DataFormatError(
                    f"{source.name}: the passage id {quoted(passage.id)} is no text: correct the "
                    "source"
                )
            if trec:
                check_id(passage.id)
            try:
                ids.add(hash_of(passage.id))
            except UnicodeEncodeError as error:
                raise DataFormatError(
                    f"{source.name}: passage id {quoted(passage.id)} is not valid Unicode: correct "
                    "the source"
                ) from error
        number, first = duplicates(source, ids.found().tolist())
    if number:
        raise DataFormatError(
            f"{source.name}: the passage id {quoted(first)} occurs twice, and so in {number} "
            "places: ids must be unique"
        )
