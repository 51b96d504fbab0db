"""MkDocs hook: no number of a page is typed by hand; ``markers`` fills them in.

A marker that cannot be resolved ends the build.
"""

from __future__ import annotations

from typing import Any

from markers import MarkerError, render
from mkdocs.exceptions import PluginError


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called by MkDocs for every page."""
    try:
        return render(markdown)
    except MarkerError as error:
        raise PluginError(f"{page.file.src_path}: {error}") from error
