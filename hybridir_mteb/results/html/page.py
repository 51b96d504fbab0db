"""The page: one file that loads nothing, with everything that it shows as JSON in it.

Its pictures are drawn by the page's own script, as SVG and tables. A plotting library would be
several megabytes in each page (plotly 4.5), and its marks could neither be reached by keyboard nor
follow the colours of the reader's screen.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hybridir_mteb.errors import printable

TITLE = "Effectiveness and language bias"
_HERE = Path(__file__).parent
_PLACE = re.compile(r"@@([A-Z]+)@@")
_SCRIPTS = ("tables.js", "pictures.js", "page.js")  # of the page's only script, in order
_MADE = "<details><summary>How the numbers were made</summary>%s</details>"
_BACK = '<p class="back"><a href="%s">%s</a></p>'
# What would end the element, or a line of a script; in JSON it only occurs within texts.
_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def page(
    content: Mapping[str, Any],
    title: str,
    notes: Sequence[str] = (),
    made: Sequence[str] = (),
    back: tuple[str, str] | None = None,
) -> str:
    """The page of some content; the same content gives the same page.

    Args:
        content: As :func:`hybridir_mteb.results.html.content.content_of` makes it.
        title: Stands above, as text.
        notes: Paragraphs below the title, as text.
        made: How the numbers were made, folded away.
        back: Address and words of a link above the title, of a page that is part of a site.
    """
    style, script = _part("page.css"), "\n".join(map(_part, _SCRIPTS))
    policy = (  # nothing is loaded, and no script runs but this one, whatever a name may hold
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": safe_text(title),
        "NOTES": _paragraphs(notes) + (_MADE % _paragraphs(made) if made else ""),
        "BACK": "" if back is None else _BACK % tuple(map(safe_text, back)),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": embedded(content),
    }
    return _PLACE.sub(lambda found: parts[found[1]], _part("page.html"))


def embedded(content: Mapping[str, Any]) -> str:
    """JSON that is safe within a ``script`` element.

    Args:
        content: What JSON can hold; NaN and infinities are an error.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_UNSAFE)


@cache
def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _paragraphs(texts: Sequence[str]) -> str:
    return "\n".join(f'<p class="note">{safe_text(text)}</p>' for text in texts)


def safe_text(text: str) -> str:
    """Text for a page, in which control characters are seen as escapes."""
    return html.escape(printable(text, None))
