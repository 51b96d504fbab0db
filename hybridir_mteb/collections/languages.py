"""Languages by ISO 639-1 code, with the code and script that MTEB knows them by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hybridir_mteb.errors import UnknownNameError, quoted, suggest


@dataclass(frozen=True)
class Language:
    """One language: ISO 639-1 code, MTEB's ``iso639_3-Script`` code, English name."""

    code: str
    mteb_code: str
    name: str


_TABLE = """
af afr-Latn Afrikaans|am amh-Ethi Amharic|ar arb-Arab Arabic|az aze-Latn Azerbaijani
be bel-Cyrl Belarusian|bg bul-Cyrl Bulgarian|bn ben-Beng Bengali|bs bos-Latn Bosnian
ca cat-Latn Catalan|cs ces-Latn Czech|cy cym-Latn Welsh|da dan-Latn Danish|de deu-Latn German
el ell-Grek Greek|en eng-Latn English|es spa-Latn Spanish|et est-Latn Estonian|eu eus-Latn Basque
fa fas-Arab Persian|fi fin-Latn Finnish|fr fra-Latn French|ga gle-Latn Irish|gl glg-Latn Galician
gu guj-Gujr Gujarati|ha hau-Latn Hausa|he heb-Hebr Hebrew|hi hin-Deva Hindi|hr hrv-Latn Croatian
hu hun-Latn Hungarian|hy hye-Armn Armenian|id ind-Latn Indonesian|ig ibo-Latn Igbo
is isl-Latn Icelandic|it ita-Latn Italian|ja jpn-Jpan Japanese|jv jav-Latn Javanese
ka kat-Geor Georgian|kk kaz-Cyrl Kazakh|km khm-Khmr Khmer|kn kan-Knda Kannada|ko kor-Kore Korean
ky kir-Cyrl Kirghiz|lo lao-Laoo Lao|lt lit-Latn Lithuanian|lv lav-Latn Latvian
mk mkd-Cyrl Macedonian|ml mal-Mlym Malayalam|mn mon-Cyrl Mongolian|mr mar-Deva Marathi
ms msa-Latn Malay|mt mlt-Latn Maltese|my mya-Mymr Burmese|nb nob-Latn Norwegian Bokmål
ne nep-Deva Nepali|nl nld-Latn Dutch|nn nno-Latn Norwegian Nynorsk|no nor-Latn Norwegian
or ory-Orya Odia|pa pan-Guru Panjabi|pl pol-Latn Polish|ps pus-Arab Pushto|pt por-Latn Portuguese
ro ron-Latn Romanian|ru rus-Cyrl Russian|rw kin-Latn Kinyarwanda|sd snd-Arab Sindhi
si sin-Sinh Sinhala|sk slk-Latn Slovak|sl slv-Latn Slovenian|so som-Latn Somali|sq sqi-Latn Albanian
sr srp-Cyrl Serbian|su sun-Latn Sundanese|sv swe-Latn Swedish|sw swa-Latn Swahili|ta tam-Taml Tamil
te tel-Telu Telugu|th tha-Thai Thai|tl tgl-Latn Tagalog|tr tur-Latn Turkish|ug uig-Arab Uighur
uk ukr-Cyrl Ukrainian|ur urd-Arab Urdu|uz uzb-Latn Uzbek|vi vie-Latn Vietnamese|xh xho-Latn Xhosa
yo yor-Latn Yoruba|zh zho-Hans Chinese|zu zul-Latn Zulu
"""
LANGUAGES: dict[str, Language] = {
    code: Language(code, mteb_code, name)
    for code, mteb_code, name in (
        entry.split(maxsplit=2) for line in _TABLE.strip().splitlines() for entry in line.split("|")
    )
}


def language(code: str) -> Language:
    """The language with this ISO 639-1 code.

    Raises:
        UnknownNameError: The code is not in the table.
    """
    if not isinstance(code, str) or code not in LANGUAGES:
        raise UnknownNameError(
            f"unknown language code {quoted(code, 80)}: expected ISO 639-1, one of "
            f"{', '.join(sorted(LANGUAGES))}{suggest_language(code)}"
        )
    return LANGUAGES[code]


def suggest_language(given: object, known: Iterable[str] | None = None) -> str:
    """``". Did you mean de?"`` for ``deu``, ``German``, ``DE`` or a slip, or an empty string."""
    name, codes = str(given)[:80], list(LANGUAGES if known is None else known)
    for code in codes:
        entry = LANGUAGES.get(code)
        long = entry.mteb_code.lower() if entry else ""  # ``deu-latn``
        if entry and name.lower() in {code, entry.name.lower(), long, long.partition("-")[0]}:
            return f". Did you mean {code}?"
    return suggest(name, codes)
