"""The floor plan: who may import whom, read from the syntax trees; lazy imports count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx

REPOSITORY = Path(__file__).parent.parent
PACKAGE = "hybridir_mteb"
# From the bottom: a module imports from its own room and from lower lines. Rooms on one line do not
# know each other, but for the three at the bottom.
LAYERS = (
    ("errors", "files", "paths", "_moved"),
    ("plugins",),
    ("collections", "results"),
    ("installed", "tasks"),
    ("ranking",),
    ("encoders",),
    ("measures",),
    ("training", "bias"),
    ("planning", "debias", "scaling", "comparison"),
    ("adapters",),
    ("export", "language_bias", "_bootstrap"),
    ("cli",),
    ("__main__",),
)
NEIGHBOURS = {"errors", "files", "paths"}
HOSTS = {
    "mteb": "adapters.mteb",
    "beir": "adapters.beir",
    "ir_measures": "adapters.ir_measures",
    "ray": "adapters.ray",
}


def sources() -> dict[str, Path]:
    """Module, relative to the package -> its file; the package's own ``__init__`` is its face."""
    roots = [(REPOSITORY / PACKAGE, ""), (REPOSITORY / "tasks", "tasks")]
    found = {}
    for root, prefix in roots:
        for path in root.rglob("*.py"):
            parts = [prefix, *path.relative_to(root).with_suffix("").parts]
            name = ".".join(part for part in parts if part and part != "__init__")
            if name:
                found[name] = path
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every module and name that is imported, but for what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)
        else:
            yield from imports(node)


@cache
def graph() -> nx.DiGraph:
    """An arrow from each module to each module of the package that it imports."""
    modules = sources()
    arrows = nx.DiGraph()
    arrows.add_nodes_from(modules)
    for module, path in modules.items():
        for target, name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if target.split(".")[0] != PACKAGE:
                continue
            inner = target.removeprefix(PACKAGE).removeprefix(".")
            full = f"{inner}.{name}".removeprefix(".")
            imported = full if full in modules else inner
            if imported and imported != module:
                arrows.add_edge(module, imported)
    return arrows


def level(module: str) -> int:
    """Number of a module's layer, from the bottom."""
    room = module.split(".", maxsplit=1)[0]
    return next(at for at, rooms in enumerate(LAYERS) if room in rooms)


def against(importer: str, imported: str) -> bool:
    """Whether an import goes up, or to another room of the same layer."""
    rooms = importer.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    if rooms[0] == rooms[1] or set(rooms) <= NEIGHBOURS:
        return level(imported) > level(importer)
    return level(imported) >= level(importer)


def test_imports_follow_the_data():
    assert {arrow for arrow in graph().edges if against(*arrow)} == set()


def test_no_modules_import_each_other_in_a_circle():
    circles = [c for c in nx.strongly_connected_components(graph()) if len(c) > 1]
    assert circles == []


def test_toolkits_are_imported_in_their_adapters_only():
    strangers = {
        (module, target)
        for module, path in sources().items()
        for target, _ in imports(ast.parse(path.read_text(encoding="utf-8")))
        for host, room in HOSTS.items()
        if target.split(".")[0] == host and not f"{module}.".startswith(f"{room}.")
    }
    assert strangers == set()


def test_the_plan_names_every_room():
    rooms = {module.split(".")[0] for module in sources()}
    assert rooms == {room for layer in LAYERS for room in layer}
    assert len([room for room in rooms if (REPOSITORY / PACKAGE / f"{room}.py").is_file()]) < 10


def test_a_rule_that_is_broken_is_seen():
    assert against("ranking.exact", "encoders.cache")
    assert against("bias.present", "training.run")
    assert against("collections.own", "results.tables")
    assert not against("files", "errors")
    assert not against("cli.app", "adapters.mteb.run")
    tree = ast.parse("if TYPE_CHECKING:\n    import mteb\ndef f():\n    from beir import x\n")
    assert list(imports(tree)) == [("beir", "x")]
