"""What the two LAReQA collections share: upstream repository, citation, reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hybridir_mteb.collections.collection import ParallelCollection
from hybridir_mteb.collections.download import DataFile, fetch
from hybridir_mteb.collections.readers.lareqa import read_lareqa

REPOSITORY = "google-research-datasets/lareqa"
REFERENCE = "https://aclanthology.org/2020.emnlp-main.477/"
CITATION = r"""
@inproceedings{roy-etal-2020-lareqa,
  author = {Roy, Uma and Constant, Noah and Al-Rfou, Rami and Barua, Aditya and
            Phillips, Aaron and Yang, Yinfei},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language
               Processing (EMNLP)},
  pages = {5919--5930},
  title = {{LAR}e{QA}: Language-Agnostic Answer Retrieval from a Multilingual Pool},
  year = {2020},
}
"""


def upstream_files(folder: str, commit: str, sha256: Mapping[str, str]) -> dict[str, DataFile]:
    """Language code -> pinned file of a folder of the LAReQA repository."""
    base = f"https://raw.githubusercontent.com/{REPOSITORY}/{commit}/{folder}"
    return {
        code: DataFile(f"{folder}/{code}.json", f"{base}/{code}.json", digest)
        for code, digest in sha256.items()
    }


def loader(
    name: str, files: Mapping[str, DataFile]
) -> Callable[[Sequence[str]], ParallelCollection]:
    """Loads chosen languages of a collection from the first source that has them."""

    def load(languages: Sequence[str]) -> ParallelCollection:
        return read_lareqa(name, {code: fetch(files[code]) for code in languages})

    return load
