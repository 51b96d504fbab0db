"""BEIR beside its translations: sets of BEIR with BEIR-PL (Polish) and with BEIR-NL (Dutch).

Thakur et al. 2021, Wojtasik et al. 2023, Banar et al. 2024. Ids are shared, so each pair is a
parallel collection. These are the sets whose translations MTEB has with judgements, and that
memory holds; ArguAna and Quora are left out, where BEIR drops the passage whose id is the query's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hybridir_mteb.collections.collection import Collection
from hybridir_mteb.collections.download import fetch
from hybridir_mteb.collections.hub import HubDataset
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec

BEIR = r"""
@inproceedings{thakur2021beir,
  archiveprefix = {arXiv},
  author = {Nandan Thakur and Nils Reimers and Andreas R{\"u}ckl{\'e} and Abhishek Srivastava and
            Iryna Gurevych},
  booktitle = {Thirty-fifth Conference on Neural Information Processing Systems Datasets and
               Benchmarks Track (Round 2)},
  eprint = {2104.08663},
  title = {{BEIR}: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
           Models},
  url = {https://openreview.net/forum?id=wCu6T5xFjeJ},
  year = {2021},
}
"""
# Language -> name, paper and its citation.
TRANSLATIONS = {
    "pl": (
        "BEIR-PL",
        "https://arxiv.org/abs/2305.19840",
        r"""
@misc{wojtasik2024beirpl,
  archiveprefix = {arXiv},
  author = {Konrad Wojtasik and Vadim Shishkin and Kacper Wołowiec and Arkadiusz Janz and
            Maciej Piasecki},
  eprint = {2305.19840},
  primaryclass = {cs.IR},
  title = {BEIR-PL: Zero Shot Information Retrieval Benchmark for the Polish Language},
  year = {2024},
}
""",
    ),
    "nl": (
        "BEIR-NL",
        "https://arxiv.org/abs/2412.08329",
        r"""
@misc{banar2024beirnlzeroshotinformationretrieval,
  archiveprefix = {arXiv},
  author = {Nikolay Banar and Ehsan Lotfi and Walter Daelemans},
  eprint = {2412.08329},
  primaryclass = {cs.CL},
  title = {BEIR-NL: Zero-shot Information Retrieval Benchmark for the Dutch Language},
  url = {https://arxiv.org/abs/2412.08329},
  year = {2024},
}
""",
    ),
}
# Of each set our name, licence and domains, as MTEB has them for the English one; of each language
# MTEB's task, whose data set and commit these are.
_TABLE = """
SciFact cc-by-nc-4.0 Academic,Medical,Written
   en SciFact mteb/scifact d56462d0e63a25450459c4f213e49ffdb866f7f9
   pl SciFact-PL mteb/SciFact-PL d9707265734052a21d5892b6300ca11028fa067b
   nl SciFact-NL clips/beir-nl-scifact 856d8dfc294b138856bbf3042450e3782321e44e
NFCorpus not-specified Medical,Academic,Written
   en NFCorpus mteb/nfcorpus ec0fa4fe99da2ff19ca1214b7966684033a58814
   pl NFCorpus-PL mteb/NFCorpus-PL 3f30ff532ac2f61a585673ee7634301ef52b1ad3
   nl NFCorpus-NL clips/beir-nl-nfcorpus 942953e674fd0f619ff89897abb806dc3df5dd39
SCIDOCS cc-by-sa-4.0 Academic,Written,Non-fiction
   en SCIDOCS mteb/scidocs f8c2fcf00f625baaa80f62ec5bd9e1fff3b8ae88
   pl SCIDOCS-PL mteb/SCIDOCS-PL de1caaae2a2880b02023b7fdd36fad58e2470cc1
   nl SCIDOCS-NL clips/beir-nl-scidocs 4e018aa220029f9d1bd5a31de3650e322e32ea38
FiQA not-specified Written,Financial
   en FiQA2018 mteb/fiqa 27a168819829fe9bcd655c2df245fb19452e8e06
   pl FiQA-PL mteb/FiQA-PL 788508256800f93c2ad033e96243bc801f9ee525
   nl FiQA2018-NL clips/beir-nl-fiqa a66648414dbbcd03e3eda02988c428be78097fd0
TRECCOVID not-specified Medical,Academic,Written
   en TRECCOVID mteb/trec-covid bb9466bac8153a0349341eb1b22e06409e78ef4e
   pl TRECCOVID-PL mteb/TRECCOVID-PL 1e710582482d4199ff690e5dd2491a70627523f5
   nl TRECCOVID-NL clips/beir-nl-trec-covid 04dd804c048866b0ab90a55ded77789485828281
Touche2020 cc-by-sa-4.0 Academic
   en Touche2020 mteb/touche2020 a34f9a33db75fa0cbb21bb5cfc3dae8dc8bec93f
   pl Touche2020-PL mteb/Touche2020-PL ec535fbc3776cfc96d72ad0cb5e8f81e74b2fd4e
   nl Touche2020-NL clips/beir-nl-webis-touche2020 b69e63cbe72c5ce0489f69e88c35f51f13a3f993
"""


@dataclass(frozen=True)
class Upstream:
    """A set in one language.

    Attributes:
        task: Name of MTEB's task.
        dataset: Its data set on the hub.
    """

    task: str
    dataset: HubDataset


@dataclass(frozen=True)
class BeirSet:
    """A set of BEIR.

    Attributes:
        name: First part of the collections' names, such as ``SciFact``.
        license: Of the English texts, as MTEB names licences.
        domains: MTEB's domains.
        languages: ISO 639-1 code -> the set in that language.
    """

    name: str
    license: str
    domains: tuple[str, ...]
    languages: dict[str, Upstream]


def _set(head: str, *rows: str) -> BeirSet:
    name, licence, domains = head.split()
    languages = {}
    for code, task, repository, revision in map(str.split, rows):
        languages[code] = Upstream(task, HubDataset(repository, revision, code))
    return BeirSet(name, licence.replace("-sp", " sp"), tuple(domains.split(",")), languages)


_LINES = _TABLE.strip().splitlines()
SETS = tuple(_set(*_LINES[at : at + 4]) for at in range(0, len(_LINES), 4))


def load(name: str, datasets: Sequence[HubDataset], languages: Sequence[str]) -> Collection:
    """Some languages of a pair; both data sets are fetched, since judgements are joined."""
    from hybridir_mteb.collections.readers.parallel_beir import ParallelFolders

    folders = {dataset.language: fetch(dataset) for dataset in datasets}
    return ParallelFolders(name, folders).read(languages)


def _pair(beir: BeirSet, code: str) -> CollectionSpec:
    """English and a translation of one set."""
    name, chosen = f"{beir.name}En{code.capitalize()}", [beir.languages[c] for c in ("en", code)]
    datasets = tuple(one.dataset for one in chosen)
    other, reference, citation = TRANSLATIONS[code]
    return CollectionSpec(
        name=name,
        languages=("en", code),
        load=partial(load, name, datasets),
        files=datasets,
        has_paragraphs=False,
        main_score="ndcg_at_10",
        card=CollectionCard(
            description=(
                f"{beir.name} of BEIR in English beside its machine translation in {other}; "
                "queries, passages and judgements share their ids."
            ),
            reference=reference,
            dataset=datasets[1].repository,
            revision=f"{datasets[0].revision}-{datasets[1].revision}",
            license=beir.license,
            date=("2000-01-01", "2021-12-31"),
            domains=beir.domains,
            citation=BEIR + citation,
            annotations_creators="derived",
            sample_creation="machine-translated",
            adapted_from=tuple(one.task for one in chosen),
        ),
    )


BEIR_TRANSLATED = tuple(_pair(beir, code) for code in TRANSLATIONS for beir in SETS)
