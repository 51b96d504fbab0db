"""How things may be named: names become file names, names of tasks, and words on a terminal.

All patterns take ASCII alone, so that no two names look alike or become one on another file system,
and none can steer a terminal or leave a folder.
"""

from __future__ import annotations

import re
from typing import Any

from hybridir_mteb.errors import PluginError, SettingError, quoted

OWNER = "hybridir"
BASE = "-base"  # ends the name of a backbone itself; nothing trained or imported has such a name
ENCODERS = f"{OWNER}/<backbone>-<method> or {OWNER}/<base>+<debiaser>"
LONGEST = 200  # of an encoder's name after the slash: a folder's name has at most 255 bytes

# Windows has devices of these names in every folder; a store may be copied there.
_NO_DEVICE = r"(?!(?:[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll])(?:\.|\Z))"
_ENCODER = re.compile(rf"{OWNER}/{_NO_DEVICE}[A-Za-z0-9][A-Za-z0-9_.+-]{{0,{LONGEST - 1}}}(?<!\.)")

COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}(?<!\.)")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}(?<!\.)")
# MTEB's own names have blanks and brackets: "Cohere/Cohere-embed-v4.0 (output_dtype=int8)".
_MODEL = re.compile(
    r"(?=.{3,200}\Z)[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.+=,()-]*(?: [\w.+=,()-]+)*", re.ASCII
)
# Kind of what plugins register -> pattern; measures and debiasers check themselves, too.
PATTERNS = {
    "model": (_MODEL, "owner/name of letters, digits, _, . and -"),
    "collection": (COLLECTION, "letters, digits, _, . and -, a letter first"),
    "task": (COLLECTION, "letters, digits, _, . and -, a letter first"),
    "measure": (re.compile(r"[a-z][a-z0-9_]{0,99}"), "lower-case letters, digits and _"),
    "training method": (_PART, "letters, digits, _, . and -"),
    "backbone": (_PART, "letters, digits, _, . and -"),
    "debiaser": (re.compile(r"[a-z][a-z0-9_-]{0,63}"), "lower-case letters, digits, _ and -"),
}


def check_encoder_name(name: Any) -> str:
    """The name, of whatever origin, of a trained or debiased encoder, or an error.

    Raises:
        SettingError: It is malformed, or that of a backbone itself.
    """
    if not isinstance(name, str) or not _ENCODER.fullmatch(name):
        raise SettingError(
            f"an encoder is named {ENCODERS}, of at most {LONGEST} letters, digits, _, ., + and -, "
            f"not {quoted(name)}"
        )
    if "+" not in name and name.lower().endswith(BASE):
        raise SettingError(f"{name} comes with this package: no other encoder can have its name")
    return name


def check_item_name(kind: str, name: Any) -> str:
    """The name of something that a plugin registers, as plain text, or an error.

    Args:
        kind: What it is, a key of ``PATTERNS``; names of other kinds need only be text.
        name: Its name.

    Raises:
        PluginError: It is no text, or malformed.
    """
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} must have a name, got {quoted(name)}")
    pattern, words = PATTERNS.get(kind, (re.compile(r".+", re.DOTALL), ""))
    if not pattern.fullmatch(name):
        raise PluginError(f"{kind} {quoted(name, 100)}: names are made of {words}")
    return str.__getitem__(name, slice(None))
