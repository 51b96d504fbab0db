"""How the pictures of language bias look, and drawing in that style from any thread."""

from __future__ import annotations

import threading
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hybridir_mteb.errors import printable

LONGEST_LABEL = 12  # columns of text
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "hybridir",  # the same file for the same data
    "svg.fonttype": "path",
    "text.parse_math": False,  # a title with dollar signs is no formula
    "text.usetex": False,
}
_FIRST_FONT = "DejaVu Sans"  # matplotlib brings it: the same picture everywhere
# For what it lacks: Chinese, Japanese, Korean, Indic scripts, Thai and others.
_OTHER_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Telugu",
    "Noto Sans Thai",
    "Noto Sans Ethiopic",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Nirmala UI",
    "Leelawadee UI",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Unifont",
)
_HINTING = 0.92  # small letters, fitted to pixels, are wider than as measured
_lock = threading.Lock()


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib in our style, one thread at a time: its settings belong to the whole process."""
    from matplotlib import rc_context

    with _lock, warnings.catch_warnings(), rc_context({**_STYLE, "font.family": _fonts()}):
        # A box in place of a letter is seen; the tables have the name.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        yield


def _fonts() -> list[str]:
    """Only what is installed: matplotlib complains of the others."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [_FIRST_FONT, *(name for name in _OTHER_FONTS if name in installed)]


def text_width(text: str) -> int:
    """Columns that a text takes; Chinese, Japanese and Korean letters take two."""
    wide = sum(unicodedata.east_asian_width(sign) in {"W", "F"} for sign in text)
    return len(text) + wide


def wrapped(words: str, inches: float, **look: Any) -> str:
    """Words over lines that fit, by the widths of their letters; to be called while drawing.

    Args:
        words: One paragraph; a word that is too long is broken anywhere.
        inches: Width that a line may take.
        **look: Size, weight and style of the font.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(**look)

    def fits(line: str) -> bool:
        points = text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
        return bool(points <= 72 * inches * _HINTING)

    lines: list[str] = []
    for word in words.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for sign in word:
            if lines[-1] and not fits(lines[-1] + sign):
                lines.append("")
            lines[-1] += sign
    return "\n".join(lines)


def labels(names: Iterable[str]) -> dict[str, str]:
    """Name -> what axes show of it: the start of long names, or where starts agree both ends.

    Args:
        names: All names of a picture; where both ends agree too, labels end in a number.
    """
    known = list(dict.fromkeys(names))
    plain = {name: printable(name, None) for name in known}
    found = {name: _shortened(plain[name], LONGEST_LABEL - 1, 0) for name in known}
    for alike in _alike(found):
        found |= {name: _shortened(plain[name], LONGEST_LABEL // 2, 5) for name in alike}
    for alike in _alike(found):
        found |= {
            name: _shortened(plain[name], LONGEST_LABEL - 1 - len(str(at)), 0) + str(at)
            for at, name in enumerate(alike, 1)
        }
    return found


def _alike(found: dict[str, str]) -> list[list[str]]:
    """Groups of names that look the same."""
    groups: dict[str, list[str]] = {}
    for name, label in found.items():
        groups.setdefault(label, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _shortened(name: str, head: int, tail: int) -> str:
    if text_width(name) <= LONGEST_LABEL:
        return name
    start, end = "", ""
    for sign in name:
        if text_width(start + sign) > head:
            break
        start += sign
    for sign in reversed(name):
        if text_width(sign + end) > tail:
            break
        end = sign + end
    return f"{start.rstrip()}…{end.lstrip()}"
