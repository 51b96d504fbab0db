"""Languages by ISO 639-1 code, with the code and script that MTEB knows them by."""

from __future__ import annotations

from dataclasses import dataclass

from hybridir_mteb.errors import UnknownNameError
from hybridir_mteb.names import suggest


@dataclass(frozen=True)
class Language:
    """One language: ISO 639-1 code, MTEB's ``iso639_3-Script`` code, English name."""

    code: str
    mteb_code: str
    name: str

    @property
    def script(self) -> str:
        """ISO 15924 code of the script."""
        return self.mteb_code.split("-")[1]


_TABLE = """
ar arb-Arab Arabic|bn ben-Beng Bengali|de deu-Latn German|el ell-Grek Greek|en eng-Latn English
es spa-Latn Spanish|fa fas-Arab Persian|fi fin-Latn Finnish|fr fra-Latn French|hi hin-Deva Hindi
id ind-Latn Indonesian|it ita-Latn Italian|ja jpn-Jpan Japanese|ko kor-Kore Korean
pl pol-Latn Polish|pt por-Latn Portuguese|ro ron-Latn Romanian|ru rus-Cyrl Russian
sw swa-Latn Swahili|te tel-Telu Telugu|th tha-Thai Thai|tr tur-Latn Turkish|vi vie-Latn Vietnamese
yo yor-Latn Yoruba|zh zho-Hans Chinese
"""
LANGUAGES: dict[str, Language] = {
    code: Language(code, mteb_code, name)
    for code, mteb_code, name in (
        entry.split() for line in _TABLE.strip().splitlines() for entry in line.split("|")
    )
}


def language(code: str) -> Language:
    """The language with this ISO 639-1 code.

    Raises:
        UnknownNameError: The code is not in the table.
    """
    if code not in LANGUAGES:
        raise UnknownNameError(
            f"unknown language code {code!r}: expected ISO 639-1, one of "
            f"{', '.join(sorted(LANGUAGES))}{suggest(code, LANGUAGES)}"
        )
    return LANGUAGES[code]
