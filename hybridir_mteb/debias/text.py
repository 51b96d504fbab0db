"""The text that statistics are estimated on: NTREX-128, or files of the user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hybridir_mteb.debias.detect import check_code, macrolanguage
from hybridir_mteb.errors import DataFormatError, LeakError, SettingError, quoted
from hybridir_mteb.ranking.given import check_text as check_string
from hybridir_mteb.training.held_out import split_documents
from hybridir_mteb.training.leak import SHOWN, EvaluationTexts, Leak, check_leaks, evaluation_texts
from hybridir_mteb.training.pairs import Example, Source, TrainingItem
from hybridir_mteb.training.sources.documents import text_lines
from hybridir_mteb.training.sources.ntrex import FILES, ORIGIN, load_ntrex

LINES = 1000
# The default of training recipes: documents that they hold out are fitted on by nothing.
HELD_OUT_EVERY = 5
FEWEST = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class FitText:
    """Text in several languages.

    Attributes:
        source: Where it comes from, for the record.
        lines: ISO 639-1 code, sorted -> texts.
        parallel: Whether text i is the same sentence in every language.
        places: Code -> where each text is, such as ``de.txt:7``, for messages.
    """

    source: str
    lines: Mapping[str, tuple[str, ...]]
    parallel: bool
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes, sorted."""
        return tuple(self.lines)

    @property
    def fewest(self) -> int:
        """Texts of the language that has fewest."""
        return min(map(len, self.lines.values()))

    def sha256(self) -> str:
        """Of all lines with their languages."""
        digest = hashlib.sha256()
        for code, lines in self.lines.items():
            digest.update("".join(f"{code}\t{line}\n" for line in lines).encode())
        return digest.hexdigest()

    def place(self, code: str, at: int) -> str:
        """Where text number ``at`` of a language is."""
        places = self.places.get(code)
        return places[at] if places else f"{self.source}:{at + 1}"


def make_text(
    source: str,
    lines: Mapping[str, Sequence[str]],
    *,
    parallel: bool,
    places: Mapping[str, Sequence[str]] | None = None,
) -> FitText:
    """Text checked for what every debiaser needs; as :class:`FitText` has it.

    Varieties of one macrolanguage count as that language.

    Raises:
        SettingError: Fewer than two languages, fewer than two texts in one, a text that is none, a
            code that is not one of a language, or two codes of one language.
    """
    if len(lines) < FEWEST:
        raise SettingError(
            f"debiasing needs text in at least {FEWEST} languages, got "
            f"{', '.join(sorted(lines)) or 'none'}: add --text CODE=FILE or --languages"
        )
    given: dict[str, str] = {}
    for code, texts in lines.items():
        check_code(code)
        other = given.setdefault(macrolanguage(code), code)
        if other != code:
            raise SettingError(
                f"{quoted(other, 80)} and {quoted(code, 80)} are one language here, "
                f"{quoted(macrolanguage(code), 80)}: a short text does not tell them apart; put "
                "their texts together, or leave one out"
            )
        for at, one in enumerate(texts):
            check_string(one, f"{source}: text {at} in {quoted(code)}")
        if len(texts) < FEWEST:
            raise SettingError(
                f"{source}: {len(texts)} texts in {quoted(code)}, at least {FEWEST} are needed"
            )
    found = {own: tuple(lines[given[own]]) for own in sorted(given)}
    where = {own: tuple(places[given[own]]) for own in sorted(given)} if places else {}
    return FitText(source, found, parallel, where)


def evenly(items: Sequence[Item], limit: int) -> list[Item]:
    """At most ``limit`` items, evenly spread."""
    if limit < FEWEST:
        raise SettingError(f"{limit} lines: at least {FEWEST} are needed")
    step = max(1.0, len(items) / limit)
    return [items[int(at * step)] for at in range(min(limit, len(items)))]


def ntrex_text(languages: Iterable[str] = (), limit: int = LINES) -> FitText:
    """NTREX-128, ``limit`` lines a language at most, without the documents that training holds out.

    Raises:
        UnknownNameError: NTREX-128 has no such language here.
        DataUnavailableError: No source has a file.
    """
    corpus = load_ntrex(tuple(sorted(set(languages) or FILES)))
    items = tuple(
        TrainingItem(str(at), {}, document) for at, document in enumerate(corpus.documents)
    )
    ((kept,), _) = split_documents([Source(corpus.name, items)], HELD_OUT_EVERY)
    chosen = [int(item.id) for item in evenly(kept.items, limit)]
    lines = {code: [texts[at] for at in chosen] for code, texts in corpus.lines.items()}
    places = {code: [f"{Path(FILES[code].path).name}:{at + 1}" for at in chosen] for code in lines}
    return make_text(ORIGIN, lines, parallel=True, places=places)


def file_text(
    files: Mapping[str, Path], languages: Iterable[str] = (), limit: int = LINES
) -> FitText:
    """The user's files: UTF-8, one text a line.

    Files with equally many lines are line-parallel. Blank lines are dropped; in parallel files,
    with their translations.

    Args:
        files: Language code -> file.
        languages: Keep these only; by default all.
        limit: Largest number of lines of each language.

    Raises:
        SettingError: A language without a file.
        DataUnavailableError: There is no such file.
        DataFormatError: Not UTF-8, or no text in it; with file and line.
    """
    wanted = set(languages) or set(files)
    if wanted - set(files):
        raise SettingError(
            f"--languages names {', '.join(sorted(wanted - set(files)))}, for which there is no "
            "--text CODE=FILE"
        )
    raw = {code: text_lines(files[code]) for code in sorted(wanted)}
    parallel = len({len(lines) for lines in raw.values()}) == 1
    for code, lines in raw.items():
        if not any(lines):
            raise DataFormatError(f"{files[code]}: no text to fit on, all lines are blank")
    kept = {code: [at for at, line in enumerate(lines) if line] for code, lines in raw.items()}
    if parallel:
        shared = sorted(set.intersection(*map(set, kept.values())))
        if not shared:
            raise DataFormatError(
                f"{', '.join(str(files[code]) for code in raw)}: equally many lines, so they count "
                "as line-parallel, but no line has text in all of them"
            )
        kept = dict.fromkeys(kept, shared)
    chosen = {code: evenly(at, limit) for code, at in kept.items()}
    texts = {code: [raw[code][at] for at in rows] for code, rows in chosen.items()}
    places = {c: [f"{files[c].name}:{at + 1}" for at in rows] for c, rows in chosen.items()}
    source = ", ".join(f"{code}={files[code].name}" for code in raw)
    return make_text(source, texts, parallel=parallel, places=places)


def check_text(text: FitText, *, allow: bool) -> tuple[EvaluationTexts, list[Leak]]:
    """Compare the text with every evaluation set, as training does with its data.

    Raises:
        LeakError: A text occurs in an evaluation set, and that is not allowed.
    """
    items = tuple(
        TrainingItem(text.place(code, at), {code: Example(line, line)})
        for code, lines in text.lines.items()
        for at, line in enumerate(lines)
    )
    known = evaluation_texts()
    leaks = check_leaks([Source(text.source, items)], known, allow=True)
    if leaks and not allow:
        shown = "; ".join(
            f"{leak.item} ({leak.language}) occurs in {leak.evaluation_set}"
            for leak in leaks[:SHOWN]
        )
        more = f" and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
        raise LeakError(
            f"the text holds evaluation data: {shown}{more}. Remove these lines: an encoder that "
            "is debiased with them is not zero-shot. If that is what you want, --allow-leaks "
            "writes it into the encoder's metadata"
        )
    return known, leaks
