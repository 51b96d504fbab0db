"""MkDocs hook: no number of a page is typed by hand; ``markers`` fills them in.

A marker that cannot be resolved ends the build.
"""

from __future__ import annotations

from typing import Any

from markers import MarkerError, render, report
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called by MkDocs for every page."""
    try:
        return render(markdown)
    except MarkerError as error:
        raise PluginError(f"{page.file.src_path}: {error}") from error


def on_files(files: Any, *, config: Any) -> Any:
    """Called by MkDocs once it knows its files: the page of results is one more."""
    files.append(File.generated(config, report.NAME, content=report.report_page()))
    return files
