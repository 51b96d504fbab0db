"""Numbers on the command line, by their grammar: ``1_0`` is not ten, ``nan`` no learning rate.

Parsers of options; their names, which the command line's help shows in capitals, are those of
Typer's own types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hybridir_mteb.errors import quoted
from hybridir_mteb.files.numbers import written_number, written_whole

if TYPE_CHECKING:
    from hybridir_mteb.plugins.specs import Measure


def integer(text: str) -> int:
    """A whole number in ASCII digits, perhaps after a sign.

    Args:
        text: What stands on the command line, or a default.

    Raises:
        ValueError: It is none; Typer says of which option.
    """
    found = written_whole(str(text))
    if found is None:
        raise ValueError(f"{quoted(text, 80)} is no whole number")
    return found


def float_(text: str) -> float:
    """A finite decimal number.

    Args:
        text: What stands on the command line, or a default.

    Raises:
        ValueError: It is none; Typer says of which option.
    """
    found = written_number(str(text))
    if found is None:
        raise ValueError(f"{quoted(text, 80)} is no finite number")
    return found


float_.__name__ = "float"


def measures_of_plugins(names: Iterable[str]) -> list[str]:
    """Those of the numbers in a result that are measures of plugins, sorted.

    Args:
        names: Keys of a subset's scores.
    """
    from hybridir_mteb.measures.builtin import BUILT_IN
    from hybridir_mteb.plugins.specs import RESERVED

    return sorted(set(names) - BUILT_IN.keys() - RESERVED)


def measure_of_plugin(name: str) -> Measure | None:
    """A measure that is not built in; None where no installed plugin has it."""
    from hybridir_mteb.installed import installed_plugins
    from hybridir_mteb.measures.builtin import BUILT_IN

    if name in BUILT_IN:
        return None
    return dict(installed_plugins().measures.items()).get(name)
