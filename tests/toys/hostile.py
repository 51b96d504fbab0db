"""Names, texts, errors and objects that somebody may have chosen to break things."""

import asyncio
from typing import Any

# Terminal escapes (7 and 8 bit), bidi override, line ends, markup of rich, a half character.
ESCAPES = "\x1b[31m\x9b2J\u202e\r\n\x07\x00\u2028"
MARKUP = "[/] [bold] [/bold] :smile: [link=x]y[/link]"
TEXT = f"{MARKUP}{ESCAPES}\udcff"
# What a file's name can hold, on Linux.
FILE_NAME = "[/] [bold]\x1b[31m\u202e\n&_#$%{}~^ :smile:"


class Unspeakable(BaseException):
    """Fails when somebody asks what it says."""

    def __str__(self) -> str:
        raise GeneratorExit("no text")

    __repr__ = __str__


class OddlyNamed(type):
    """A metaclass whose classes do not say their name."""

    @property
    def __name__(cls) -> str:
        raise RuntimeError("no name")


class AnonymousError(Exception, metaclass=OddlyNamed):
    """An error of no name."""


class Unreadable:
    """Each of its attributes raises, and so does its text."""

    def __getattribute__(self, name: str) -> Any:
        raise asyncio.CancelledError(name)

    def __repr__(self) -> str:
        raise SystemExit("no text")


EVERYTHING = (
    ValueError(f"x{TEXT}" * 200),
    SystemExit(3),
    GeneratorExit(),
    StopIteration(1),
    asyncio.CancelledError(),
    RecursionError("deep"),
    MemoryError(),
    Unspeakable("x"),
    AnonymousError("y"),
    BaseExceptionGroup("several", [SystemExit(1), ValueError("y")]),
)
