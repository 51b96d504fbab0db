"""The floor plan: rooms from the package's docstrings, layers from the test that enforces them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from markers.registry import MarkerError, marker
from markers.results import markdown_table

REPOSITORY = Path(__file__).parent.parent.parent
ROOTS = ((REPOSITORY / "hybridir_mteb", ""), (REPOSITORY / "tasks", "tasks"))
LAYER_TEST = REPOSITORY / "tests" / "test_layers.py"


@cache
def modules() -> dict[str, Path]:
    """Dotted name below the package -> file; a folder goes by the name of the folder."""
    found = {}
    for root, prefix in ROOTS:
        for path in sorted(root.rglob("*.py")):
            parts = [prefix, *path.relative_to(root).with_suffix("").parts]
            name = ".".join(part for part in parts if part and part != "__init__")
            if name:
                found[name] = path
    return found


@cache
def tree_of(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def constant_of_test(name: str) -> object:
    """A literal of ``tests/test_layers.py``."""
    for node in ast.parse(LAYER_TEST.read_text(encoding="utf-8")).body:
        targets = [ast.unparse(target) for target in getattr(node, "targets", ())]
        if isinstance(node, ast.Assign) and name in targets:
            return ast.literal_eval(node.value)
    raise MarkerError(f"tests/test_layers.py defines no {name}")


def layers() -> list[tuple[str, ...]]:
    """The rooms of each layer, from the top.

    Raises:
        MarkerError: The test's plan and the folders on disk have not the same rooms.
    """
    plan = constant_of_test("LAYERS")
    assert isinstance(plan, tuple)
    planned = {room for layer in plan for room in layer}
    on_disk = {name.partition(".")[0] for name in modules()}
    if planned != on_disk:
        raise MarkerError(f"tests/test_layers.py and the package differ: {planned ^ on_disk}")
    return list(reversed(plan))


@marker("layers")
def layer_list() -> str:
    """The layers, one a line, from the top."""
    lines = [" | ".join(layer) for layer in layers()]
    return "```text\n" + "\n".join(lines) + "\n```"


@marker("rooms")
def room_table() -> str:
    """Every room with the sentence that its code says of itself, and its modules."""
    rows = [
        [f"`{shown}`", _summary(room), ", ".join(f"`{name}`" for name in _inside(room))]
        for layer in layers()
        for name in layer
        for room in (name, *_folders_below(name))
        for shown in [_shown(room)]
    ]
    return markdown_table(["room", "what it is", "modules"], rows, left=3)


@marker("toolkits")
def toolkits() -> str:
    """Where each toolkit may be imported."""
    hosts = constant_of_test("HOSTS")
    assert isinstance(hosts, dict)
    return ", ".join(f"`{host}` in `{room.replace('.', '/')}`" for host, room in hosts.items())


def _is_folder(room: str) -> bool:
    return modules()[room].name == "__init__.py"


def _shown(room: str) -> str:
    path = room.replace(".", "/")
    return f"{path}/" if _is_folder(room) else f"{path}.py"


def _folders_below(room: str) -> list[str]:
    return [name for name in modules() if name.startswith(f"{room}.") and _is_folder(name)]


def _inside(room: str) -> list[str]:
    """Modules that lie directly in a room."""
    below = [name.removeprefix(f"{room}.") for name in modules() if name.startswith(f"{room}.")]
    return [name for name in below if "." not in name and not _is_folder(f"{room}.{name}")]


def _summary(room: str) -> str:
    """First line of the docstring.

    Raises:
        MarkerError: There is none.
    """
    text = ast.get_docstring(tree_of(room))
    if not text:
        raise MarkerError(f"{room} has no docstring")
    return text.partition("\n")[0].replace("``", "`").replace("|", "or")
