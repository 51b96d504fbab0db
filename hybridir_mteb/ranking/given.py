"""What callers give to the library: ids, grades and scores, refused unless they are such.

One rule for every public function: ids are strings, of half characters none. A number is not made a
string, since ``7`` and ``"7"`` might both be there; grades are whole numbers, scores finite ones,
and True and text are neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from hybridir_mteb.errors import EmbeddingError, SettingError, quoted
from hybridir_mteb.files.numbers import check_grade, number, whole
from hybridir_mteb.ranking.arrays import Qrels, Run


def check_ids(ids: Iterable[object], what: str) -> None:
    """Refuse ids that are no strings; the message says what they are of.

    Raises:
        SettingError: One is a number, say, or holds half of a character.
    """
    for identifier in ids:
        if not isinstance(identifier, str):
            raise SettingError(
                f"{what} id {quoted(identifier, 80)} is of type {type(identifier).__name__}; ids "
                'are strings: give "7" for 7, in every argument'
            )
        if not identifier.isascii():
            check_text(identifier, f"{what} id")


def check_text(text: object, what: str) -> None:
    """Refuse what is no text, or holds half a character, which no file and no hash can hold.

    Raises:
        SettingError: It is no text.
    """
    if not isinstance(text, str):
        raise SettingError(f"{what} is {quoted(text, 80)}; give a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingError(
            f"{what} {quoted(text, 80)} holds half of a surrogate pair: {error.reason}; mend it"
        ) from error


def check_mapping(given: object, what: str) -> None:
    """Refuse what is no mapping.

    Raises:
        SettingError: It is something else.
    """
    if not isinstance(given, Mapping):
        raise SettingError(f"{what}: expected a mapping from ids, got {quoted(given, 80)}")


def check_sequence(given: object, what: str) -> None:
    """Refuse what has no entries in an order, and text, whose entries are its characters.

    Raises:
        SettingError: It is something else.
    """
    unordered = isinstance(given, str | bytes | Mapping | Set)
    if unordered or not hasattr(given, "__getitem__") or not getattr(given, "shape", (0,)):
        raise SettingError(f"{what}: expected a list, got {quoted(given, 80)}")


def check_nested(given: object, what: str, inner: str) -> None:
    """Refuse what is no mapping of mappings, or has other ids than strings.

    Raises:
        SettingError: It is something else.
    """
    rows = given.values() if isinstance(given, Mapping) else (None,)
    for row in rows:
        if not isinstance(row, Mapping):
            wrong = row if isinstance(given, Mapping) else given
            raise SettingError(
                f"{what}: expected a mapping from queries to mappings from {inner}s, got "
                f"{quoted(wrong, 80)}"
            )
        check_ids(row, inner)
    check_ids(given, "query")  # type: ignore[arg-type]  # a mapping, seen above


def check_qrels(qrels: Qrels) -> dict[str, dict[str, int]]:
    """Judgements, query -> document -> grade, whose ids are strings and grades whole numbers.

    Raises:
        SettingError: They are not such.
    """
    check_nested(qrels, "judgements", "document")
    return {
        query: {doc: check_grade(value, query, doc) for doc, value in grades.items()}
        for query, grades in qrels.items()
    }


def check_run(run: Run) -> None:
    """Refuse a run whose ids are no strings; scores are checked where they are ranked.

    Raises:
        SettingError: It is not such.
    """
    check_nested(run, "the run", "document")


def checked_score(value: object, query: str, document: str) -> float:
    """A score that can be ranked.

    Raises:
        EmbeddingError: It is none, or one that doubles do not hold.
    """
    score = number(value)
    if score is None:
        raise EmbeddingError(
            f"query {quoted(query, 80)}: the score of {quoted(document, 80)} is "
            f"{quoted(value, 80)}, no finite number"
        )
    return score


def columns_of(relevant: Sequence[Sequence[int]]) -> list[list[int]]:
    """Columns of the relevant passages of each query as whole numbers.

    Raises:
        SettingError: They are something else, such as ids, shares or True.
    """
    try:
        rows = [[(value, whole(value)) for value in row] for row in relevant]
    except TypeError as error:
        raise _no_columns(str(error)) from error
    for value, column in (pair for row in rows for pair in row):
        if column is None or isinstance(value, float) or abs(column) >= 2**63:
            raise _no_columns(f"{quoted(value, 80)} is no column")
    return [[column for _, column in row if column is not None] for row in rows]


def _no_columns(why: str) -> SettingError:
    return SettingError(
        f"relevant: expected the columns of the relevant passages of each query ({why})"
    )
