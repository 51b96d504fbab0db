"""Retrieval data sets of the hub, as MTEB has them: kept in the cache as folders in BEIR's layout.

Passages, queries and judgements are three configurations of such a data set, and the hub's library
knows what files they are in. What it read is written as Parquet, once, with a record of the commit
and of each file's sha256; a folder that differs from its record is fetched again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.collections.fetching import VERIFIED, fetching
from hybridir_mteb.collections.readers.digests import digests_of
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, plain_logger
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.remote import quiet

logger = plain_logger(__name__)


@dataclass(frozen=True)
class HubDataset:
    """A retrieval data set of the hub, pinned.

    Attributes:
        repository: ``owner/name``.
        revision: Commit of the data set.
        language: ISO 639-1 code of its texts.
        split: Which judgements.
    """

    repository: str
    revision: str
    language: str
    split: str = "test"

    @property
    def path(self) -> str:
        """Folder below the mirror and below the cache, with forward slashes."""
        return f"beir/{self.repository}"

    @property
    def configurations(self) -> dict[str, tuple[str, ...]]:
        """File in BEIR's layout -> what its configuration may be called; the first one counts."""
        return {
            "corpus.parquet": ("corpus",),
            "queries.parquet": ("query", "queries"),
            f"qrels/{self.split}.parquet": ("default", "qrels"),
        }


def locate_dataset(dataset: HubDataset) -> Path | None:
    """Its folder in the mirror, or in the cache as it was fetched; None if in neither."""
    mirror = paths.mirror_dir()
    if mirror is not None and (mirror / dataset.path / "qrels").is_dir():
        return mirror / dataset.path
    place = paths.data_cache_dir() / dataset.path
    try:
        if read_record(place / VERIFIED) == _record(dataset, place):
            return place
        logger.warning("%s is not what was fetched: it is fetched again", place)
    except (FileNotFoundError, DataUnavailableError):
        pass
    except (DataFormatError, OSError) as error:
        logger.warning("%s. %s is fetched again", error, place)
    return None


def fetch_dataset(dataset: HubDataset) -> Path:
    """Its folder, from the first source that has it.

    Raises:
        DataUnavailableError: No source has it; the message names both ways out.
    """
    found = locate_dataset(dataset)
    if found is None:
        put = f"it as a folder in BEIR's layout at <folder>/{dataset.path}"
        source = f"from {dataset.repository}"
        with fetching(dataset.path, source, "run again", put) as place, quiet():
            found = locate_dataset(dataset)  # another process may have fetched it meanwhile
            if found is None:
                for file, names in dataset.configurations.items():
                    (place / file).parent.mkdir(parents=True, exist_ok=True)
                    _read(dataset, names).to_parquet(place / file)
                write_record(place / VERIFIED, _record(dataset, place))
                found = place
    return found


def _record(dataset: HubDataset, place: Path) -> dict[str, Any]:
    names = list(dataset.configurations)
    digests = digests_of([place / name for name in names])
    return {"revision": dataset.revision, "files": dict(zip(names, digests, strict=True))}


def _read(dataset: HubDataset, names: tuple[str, ...]) -> Any:
    """The rows of one configuration, of the split if it has several; as MTEB's loader does it."""
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset

    repository, commit = dataset.repository, dataset.revision
    known = get_dataset_config_names(repository, revision=commit)
    name = next((name for name in names if name in known), None)
    splits = get_dataset_split_names(repository, name, revision=commit) if name else []
    split = dataset.split if len(splits) != 1 else splits[0]
    if split not in splits:
        raise DataUnavailableError(
            f"{repository} at {commit} has no {' or '.join(names)} with the split {dataset.split}: "
            f"it has {', '.join(known)}; has the data set been changed? Report it"
        )
    return load_dataset(repository, name, split=split, revision=commit)
