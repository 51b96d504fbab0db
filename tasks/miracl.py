"""MIRACL: 18 languages, not parallel, up to 32.9 million passages each (Zhang et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.download import DataFile, HubFolder, fetch
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec

# The hub's miracl/miracl asks for an agreement first; the same files are free of it here.
TOPICS_COMMIT = "5b819c1a45c8a0a3ec9426f476694f44a29dfaf3"
TOPICS_URL = f"https://raw.githubusercontent.com/castorini/anserini-tools/{TOPICS_COMMIT}"
CORPUS = "miracl/miracl-corpus"
CORPUS_COMMIT = "d921ec7e349ce0d28daf30b2da9da5ee698bef0d"
CITATION = r"""
@article{10.1162/tacl_a_00595,
  author = {Zhang, Xinyu and Thakur, Nandan and Ogundepo, Odunayo and Kamalloo, Ehsan and
            Alfonso-Hermelo, David and Li, Xiaoguang and Liu, Qun and Rezagholizadeh, Mehdi and
            Lin, Jimmy},
  doi = {10.1162/tacl_a_00595},
  eprint = {https://direct.mit.edu/tacl/article-pdf/doi/10.1162/tacl\_a\_00595/2157340/tacl\_a\_00595.pdf},
  issn = {2307-387X},
  journal = {Transactions of the Association for Computational Linguistics},
  month = {09},
  pages = {1114-1131},
  title = {{MIRACL: A Multilingual Retrieval Dataset Covering 18 Diverse Languages}},
  url = {https://doi.org/10.1162/tacl\_a\_00595},
  volume = {11},
  year = {2023},
}
"""


@dataclass(frozen=True)
class Upstream:
    """What upstream has of one language.

    Attributes:
        topics: sha256 of the topics of dev.
        qrels: sha256 of the qrels of dev.
        files: Number of files of the corpus.
        passages: Number of passages of the corpus.
    """

    topics: str
    qrels: str
    files: int
    passages: int


# Language, number of files and of passages, sha256 of topics and, below, of qrels.
_TABLE = """
ar 5 2061414 10b534b889ec46e23df478eee09410ef2880d90d419644dfed5d05d39b57ece0
   3670a7804dedd5a602dad0661f6adb1e65b197829d5571f428e0af7fc46aa313
bn 1 297265 46fbf50f1f3972b6908543bad6b6dfc60a75eec80d54aae603efd884ba608d2f
   0aab3bcb0bbc5d3e5ed1566a9e3965800239438b5b5f68d5b6bb4acb7f0fec0e
de 32 15866222 6b66ec2cfb4af383e6fe18a08899bfa3a0deeb5e6010758743fa93ab598321c9
   5d4a0d7ac42c7839a0513ba6deb6b27fc62803f318be8a7c411e10dbbde7578c
en 66 32893221 25d9e6d17656674fd7aa3b67ee912c71545e664a842b147bfc17e9ff391db3da
   a0af836c300e85088c4d73449492e2378280f967cac032853c9e11f3bc8a8d81
es 21 10373953 5e93b5a1cea22a44912e6ad242147c58719dd8ce4bb6304264a53876b70e65ac
   2d9441de1e25d7d2faf54f757db618ad5a2927337862a367f1a60e87ef7e40b2
fa 5 2207172 df0ece36ab8048f765aa0bb2dde948f5c764cc25bdfc09fb1f5317ef24ff8b49
   3cec8ea8fb1f056110e5282df3aa37e14fb5f44c6f885528b6072c0243c1efc4
fi 4 1883509 71766986e9bef80118d60b989bdbd3ed965a845db6986847cbfd791fa00990b3
   4e534e96878729bd2566233d7499c991463052d91d34738dfe84d79f110255cd
fr 30 14636953 dd471f3a0a594d212b30495f8b1d9759451aea399b44e02de6ca9c5550930106
   823e8f6fd297064d67efe37991cd3953414dc040c290f249b0895925f03509ad
hi 2 506264 94bed8e649806246f59edfb6434ea0c59920a44f2f60a56e01d205c6bf58ef60
   4cec99e7012ffca7fd129eeea01f37984bb21702706a8398208e8fba1c14e963
id 3 1446315 c5d9d5de2913beeb003ee0ef63e4537c2f632940ed077bfb2e9e8a3b5943096d
   6270863499b1be946be0883e8815b52ffb21e56181e9dc67596eaeb61494a61c
ja 14 6953614 1904b9bf0fc52e1b684daa7539b2bcfdd90122e603ffbcf6b5065a0e210525b0
   1e2a60ba96b889bd076adea950e7e83a2d083f671955a5ab3e9bdc332b492e5f
ko 3 1486752 a365552cfc997a8915e948a3b5994883f641e7c3f12b6af87bbfaf89729e32a8
   88827ccc5b64e531b25f70eef30202d33daa9bfa3ac8cceadf5cdbd5ca5034df
ru 20 9543918 91a7c3b6d21f79a12b5330f0a62811962f9370a0bf539cba8b3fecaa095f0616
   f877b43c7f53b76aab25e406e5a607ef1c5adba4ffaa11e1b252a4326735a19b
sw 1 131924 15cde3f614cb75b3106fb4606a16162140ee157da22c4a57aae756571788b722
   a1e6438ac732dabd9a24fd5c8dfc0c64168aea81ff477d8b1986fde5ad193a63
te 2 518079 3ac8a9a20bdf93ffcc36d554a5fff76ec4435131ae995010814df5881fff07d6
   576a7ded402697a7bb521b4b8bb1a27806b927556001450405d3a5b85590a0c9
th 2 542166 6ef23316d1224d9fef9e3f8bc2fdf527dad1a3bba98657617398c226503f5a46
   81097e891775f67a9b98d41309f9c452dc4e09572b0cbf4952d4107ed0fe1407
yo 1 49043 b24558e43e1965d5cfe7440a5bf3bf66d70529474ff76e64bfa72026129b2d2e
   39a219ef0b593f6056e4ad1d65b9c03345730efa5107f0abd4a4a44ef2f6f0d2
zh 10 4934368 5b284a9aabf08bb2d1c88ed7ea276025c9d23846457c5350dc8d391b5e0d0a13
   5546474d3dc8139014e6571e9f4041848bb0a314ca6d2d4bac708174d71c59eb
"""
_FIELDS = [iter(_TABLE.split())] * 5
UPSTREAM = {
    code: Upstream(topics, qrels, int(files), int(passages))
    for code, files, passages, topics, qrels in zip(*_FIELDS, strict=True)
}


def _file(kind: str, code: str, sha256: str) -> DataFile:
    name = f"{kind}.miracl-v1.0-{code}-dev.tsv"
    return DataFile(
        path=f"miracl/miracl-v1.0-{code}/{kind}/{name}",
        url=f"{TOPICS_URL}/topics-and-qrels/{name}",
        sha256=sha256,
        language=code,
    )


TOPICS = {code: _file("topics", code, known.topics) for code, known in UPSTREAM.items()}
QRELS = {code: _file("qrels", code, known.qrels) for code, known in UPSTREAM.items()}
CORPORA = {
    code: HubFolder(
        repository=CORPUS,
        revision=CORPUS_COMMIT,
        folder=f"miracl-corpus-v1.0-{code}",
        count=known.files,
        place=f"miracl/miracl-corpus-v1.0-{code}",
        how=f"hybridir data fetch MIRACL --language {code}",
    )
    for code, known in UPSTREAM.items()
}


def load(code: str) -> CollectionPart:
    """One language: topics and qrels of dev; passages are read, or fetched, at first use."""
    from hybridir_mteb.collections.readers.miracl import miracl_passages, read_miracl

    passages = miracl_passages(code, CORPORA[code], UPSTREAM[code].passages)
    return read_miracl(code, fetch(TOPICS[code]), fetch(QRELS[code]), passages)


MIRACL = CollectionSpec(
    name="MIRACL",
    languages=tuple(sorted(UPSTREAM)),
    load=load,
    files=(*TOPICS.values(), *QRELS.values()),
    corpora=CORPORA,
    split="dev",
    settings=(Setting.MONOLINGUAL, Setting.MULTILINGUAL),
    parallel=False,
    card=CollectionCard(
        description=(
            "MIRACL asks questions that native speakers wrote, and finds the passages of "
            "Wikipedia that answer them; languages are not translations of each other."
        ),
        reference="https://aclanthology.org/2023.tacl-1.63/",
        dataset=CORPUS,
        revision=CORPUS_COMMIT,
        license="apache-2.0",
        date=("2022-06-01", "2023-01-30"),
        domains=("Encyclopaedic", "Written"),
        citation=CITATION,
        annotations_creators="expert-annotated",
        sample_creation="created",
        adapted_from=("MIRACLRetrieval",),
    ),
)
