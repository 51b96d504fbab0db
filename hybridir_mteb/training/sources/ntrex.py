"""NTREX-128: 1997 news sentences of 123 documents, line-parallel (Federmann et al. 2022)."""

from __future__ import annotations

from pathlib import Path

from hybridir_mteb.collections.download import DataFile, fetch
from hybridir_mteb.collections.languages import suggest_language
from hybridir_mteb.errors import UnknownNameError
from hybridir_mteb.training.sources.documents import LineParallel, read_lines

COMMIT = "8561f6a622db9edad1217683e5c83daefd8bb2bf"
ORIGIN = f"NTREX-128, MicrosoftTranslator/NTREX at {COMMIT}, CC BY-SA 4.0"
_BASE = f"https://raw.githubusercontent.com/MicrosoftTranslator/NTREX/{COMMIT}"
DOCUMENT_IDS = DataFile(
    "ntrex-128/DOCUMENT_IDS.tsv",
    f"{_BASE}/DOCUMENT_IDS.tsv",
    "88a8b0ff1eae47e83f60dcde01075b8c87d75ced59ca09e0af1eb539958e05d5",
)
# Language code, part of the file name, sha256.
_TABLE = """
ar ref.arb d271c8645933421f760eba8ed8cc1ceaaa052f917d9c2839b8abb27e0ded71e6
bn ref.ben 7fae73a2d1d24fdcb47f68a0691253cda05fa55c5ca944bc3cdf8eb2945825f1
de ref.deu 259d7406a07b63e6b5b9c4a22fb76b85e2578a3fa0a4e541a50f4f7348e5c1b2
el ref.ell cd9c8eda1b54f4b504b33769db7e56e26ba9ae768a64e13e0eef02a9ee9867fc
en src.eng 389e8f5796c66db4f646dfad33e1ec622d74767af5ef112b42a1f2cd814df3cc
es ref.spa 0ad8129e5ce0bea86ba7e0ea0db0504d6626b8a4d2a7cf4c44b7791c70e99b84
fa ref.fas 17bca2217c74accf95fbdc47b7743402a05abc0d892ae6053477c7aec4a767c1
fi ref.fin 81582e84f53af18841fa9e36c22e9b47178aab5014ee063aa755594674e05195
fr ref.fra 1dd80d337f6a75c6ed579a95f09ca9b85d87d6e488d0a428c5f89cca99553136
hi ref.hin 10d612b3960dc1f90d297aff7e3c6d39e6eb7221b912cef0c053d9f510e41bbc
id ref.ind a28ea049cc73a7042bbea75abd6ed02a24362d3cf8d1a1cc519a7efd8bf5ceb5
it ref.ita e568982e6249a11a7ada13d5b00fe65ca722479e0399a7a761a905f340dd04d2
ja ref.jpn 4debd275d04414b71c95bad5f68e7275174e32a4ed33ece1b9a43a227aea2fca
ko ref.kor 2b50fa9a121b595ac7d3b9e98d901e72bafe68dcd945109ceb1fbbe782193638
pl ref.pol 95fb2e4b00a41847015eebda8821d52eadb60479507e179e575e3c706e353b77
pt ref.por ad2b8c2d91be6a17f9c0df0dd25e358b8de6168212b4bbc9718ea41c4df9ecd8
ro ref.ron ad8f396735ffe78f7cbfce1df7782fe587c395ed30b1eee92a16109d62d4648c
ru ref.rus a7e3601298b0368659a5c006c52809cf6792e02eb94bde9b9693333278d85732
sw ref.swa 076cec7296ec0d458d4762ddcffcd1d79ce2e7d8ee641467977d0b9f4ec95e8d
te ref.tel c719e216f47b4497c6afa3c1af8819e0c45c07dd87500b0ed327b7ebcc06d1bc
th ref.tha 45a57c4f9fdbae282eb2c94821535ae3c88b09186a23c5506eb0907ba429d6a5
tr ref.tur bd0c3978cb7d283ee5f8834d90a32fe2ffd0c71e4b133c677cff259d07a70ea9
vi ref.vie dd5d16cf246da57f5ccb7490ae13b8df428e7cb53e17fa04552406d657abfe3c
yo ref.yor 949526fa834746b6bf85e5014ccaae993b94d4d9ac1452350eb715e30ecd62f2
zh ref.zho-CN 8bcd6f0868d33f26c8da12f55a82f66088a7b60a5f7b0b1a99dcec51daa8054a
"""
FILES = {
    code: DataFile(
        f"ntrex-128/newstest2019-{name}.txt", f"{_BASE}/NTREX-128/newstest2019-{name}.txt", sha256
    )
    for code, name, sha256 in (line.split() for line in _TABLE.strip().splitlines())
}


def load_ntrex(languages: tuple[str, ...]) -> LineParallel:
    """The documents in some languages, from mirror, cache or pinned download.

    Raises:
        UnknownNameError: A language that is not among the pinned files.
        DataUnavailableError: No source has a file.
        DataFormatError: Files of different length.
    """
    unknown = sorted(set(languages) - set(FILES))
    if unknown:
        raise UnknownNameError(
            f"NTREX-128 has no language {', '.join(unknown)} here (known: {', '.join(FILES)})"
            f"{suggest_language(unknown[0], FILES)}"
        )
    files: dict[str, Path] = {code: fetch(FILES[code]) for code in languages}
    return read_lines(files, fetch(DOCUMENT_IDS), name="NTREX-128")
