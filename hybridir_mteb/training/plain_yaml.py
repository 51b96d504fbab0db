"""YAML of recipes, read as YAML 1.2 and people mean it.

PyYAML reads YAML 1.1: ``no``, the code of Norwegian, is false there, ``1_0`` is ten, ``010`` eight,
``1:30`` ninety, ``2024-01-01`` a date, and of two equal names the last one counts.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml import YAMLError

from hybridir_mteb.errors import MESSAGE_LIMIT, SettingError, one_line, quoted
from hybridir_mteb.files.numbers import written_number, written_whole
from hybridir_mteb.files.reading import naming

__all__ = ["YAMLError", "read_settings", "safe_load"]
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "merge": (r"<<", "<"),
}
_KEPT = ("null", "str", "seq", "map")  # what PyYAML makes as everybody expects


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 -- as PyYAML has it
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in _KEPT
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose names differ."""
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if key.value in seen:
                    raise _fault(f"the name {quoted(key.value, 80)} occurs twice", key)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _fault(what: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _bool(loader: Any, node: Any) -> bool:
    written = str(loader.construct_scalar(node)).lower()
    if written not in {"true", "false"}:
        raise _fault(f"{quoted(written, 80)} is neither true nor false", node)
    return written == "true"


def _number(loader: Any, node: Any) -> int | float:
    written = str(loader.construct_scalar(node))
    read = written_whole if node.tag == f"{_TAG}int" else written_number
    found = read(written)
    if found is None:
        raise _fault(f"{quoted(written, 80)} is no number that can be read", node)
    return found


for _kind, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(
        f"{_TAG}{_kind}", re.compile(f"(?:{_pattern})\\Z"), ["" if c == "\0" else c for c in _first]
    )
_Loader.add_constructor(f"{_TAG}bool", _bool)
_Loader.add_constructor(f"{_TAG}int", _number)
_Loader.add_constructor(f"{_TAG}float", _number)


def read_settings(path: Path) -> Any:
    """The value of a TOML file, or else of a YAML file.

    Raises:
        DataUnavailableError: It cannot be read.
        SettingError: It is neither.
    """
    try:
        with naming(path):
            text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text) if path.suffix == ".toml" else safe_load(text)
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: not UTF-8 ({error.reason}): save the file as UTF-8") from error
    except (ValueError, YAMLError, RecursionError) as error:  # a number may be too long
        raise SettingError(f"{path}: {one_line(error, MESSAGE_LIMIT)}") from error


def safe_load(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        YAMLError: It is malformed, nested too deeply, has a name twice or a tag of its own.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader with fewer tags
    except RecursionError as error:
        raise YAMLError("nested too deeply") from error
    except (ValueError, TypeError) as error:  # what PyYAML lets through of its parts
        raise YAMLError(str(error)) from error
