"""What the package says of itself: constants, places, measures, collections, help, examples."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from markers.registry import MarkerError, marker
from markers.results import markdown_table

DOCS = Path(__file__).parent.parent
PACKAGE = DOCS.parent / "hybridir_mteb"
HELP_WIDTH = 88


@marker("file")
def file(name: str) -> str:
    """A file below ``docs``, fenced."""
    path = DOCS / name
    if not path.is_file():
        raise MarkerError(f"docs/{name} does not exist")
    return f"```{path.suffix[1:]}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


@marker("const")
def constant(path: str, name: str) -> str:
    """``const:paths.py DEFAULT_STORE_LIMIT_GB``: a literal, read without importing."""
    value = ast.literal_eval(_defined(path, name).value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@marker("source")
def source(path: str, *names: str) -> str:
    """``source:ranking/exact.py tie_key``: where something is in the package; it must be there."""
    if not (PACKAGE / path).is_file():
        raise MarkerError(f"hybridir_mteb/{path} does not exist")
    for name in names:
        _defined(path, name)
    within = ", ".join(f"`{name}`" for name in names)
    return f"{within} in `hybridir_mteb/{path}`" if within else f"`hybridir_mteb/{path}`"


def _defined(path: str, name: str) -> Any:
    """The statement of a module that defines a name."""
    for node in ast.parse((PACKAGE / path).read_text(encoding="utf-8")).body:
        targets = [ast.unparse(target) for target in getattr(node, "targets", ())]
        if name in (getattr(node, "name", None), *targets):
            return node
    raise MarkerError(f"hybridir_mteb/{path} defines no {name}")


@marker("measures")
def measures() -> str:
    """Every built-in measure with the sentence that its code gives."""
    from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
    from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
    from hybridir_mteb.plugins.settings import Setting

    rows = []
    for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS):
        everywhere = measure.settings == set(Setting)
        settings = "all" if everywhere else ", ".join(sorted(measure.settings))
        rows.append([f"`{measure.name}`", measure.description, settings])
    return markdown_table(["measure", "what it is", "settings"], rows, left=3)


@marker("collections")
def collections() -> str:
    """Size of every built-in collection, from its descriptive statistics."""
    from hybridir_mteb.tasks.mlqa_r import MLQA_R
    from hybridir_mteb.tasks.pocketqa_r import POCKETQA_R
    from hybridir_mteb.tasks.xquad_r import XQUAD_R

    rows = []
    for spec in (POCKETQA_R, XQUAD_R, MLQA_R):
        path = PACKAGE / "data" / "descriptive_stats" / f"{spec.name}MultilingualRetrieval.json"
        statistics = json.loads(path.read_text(encoding="utf-8"))[spec.split]
        subsets = statistics["hf_subset_descriptive_stats"].values()
        pools = sorted({subset["num_documents"] for subset in subsets})
        relevant = [subset["relevant_docs_statistics"] for subset in subsets]
        least = min(found["min_relevant_docs_per_query"] for found in relevant)
        most = max(found["max_relevant_docs_per_query"] for found in relevant)
        row = [f"`{spec.name}`", spec.card.license, str(len(spec.languages))]
        row += [str(statistics["num_queries"]), " to ".join(map(str, pools))]
        rows.append([*row, str(least) if least == most else f"{least} to {most}"])
    columns = ["collection", "licence", "languages", "queries", "passages", "relevant per query"]
    return markdown_table(columns, rows, left=2)


@marker("beir-pairs")
def beir_pairs() -> str:
    """The sets of BEIR that are collections beside a translation, with their data sets."""
    from hybridir_mteb.tasks.beir_translated import SETS

    rows = []
    for one in SETS:
        data = [one.languages[code].dataset for code in ("en", "pl", "nl")]
        places = [f"`{found.repository}` {found.revision[:8]}" for found in data]
        rows.append([f"`{one.name}EnPl`, `{one.name}EnNl`", *places])
    return markdown_table(["collections", "English", "Polish", "Dutch"], rows, left=4)


@marker("moved")
def moved() -> str:
    """Every path of a module or name up to version 0.1, and its place now."""
    from hybridir_mteb._moved import PACKAGES, PLACES, RENAMED

    paths = {**PACKAGES, **PLACES}
    places = {old: new.replace(" ", ", ") for old, new in paths.items()} | RENAMED
    width = max(map(len, places))
    return "\n".join(f"{old:{width}}  {new}" for old, new in sorted(places.items()))


@marker("zero-shot")
def zero_shot() -> str:
    """MTEB's verdict on the backbones of this package, untrained, by collection."""
    import mteb

    from hybridir_mteb.adapters.mteb.register import register
    from hybridir_mteb.tasks import MIRACL, MLQA_R, POCKETQA_R, XQUAD_R

    register()
    specs = (XQUAD_R, MLQA_R, MIRACL, POCKETQA_R)
    verdict = {True: "yes", False: "no", None: "unknown"}
    rows = []
    for backbone in ("pocket", "xlmr", "labse", "muse", "gemma3-270m"):
        meta = mteb.get_model_meta(f"hybridir/{backbone}-base")
        names = [[spec.task_name(spec.settings[0])] for spec in specs]
        rows.append([f"`{backbone}`", *(verdict[meta.is_zero_shot_on(one)] for one in names)])
    return markdown_table(["encoders of", *(spec.name for spec in specs)], rows, left=5)


def command_group() -> Any:
    """The command ``hybridir`` without the boxes that rich draws around help texts."""
    from typer.main import get_command

    from hybridir_mteb.cli.app import app

    group = get_command(app)
    for command in [group, *(command for _, command in walk(group))]:
        command.rich_markup_mode = None  # type: ignore[attr-defined]
    return group


def walk(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name and object of every command and group below a group."""
    for name, command in getattr(group, "commands", {}).items():
        yield f"{prefix}{name}", command
        yield from walk(command, f"{prefix}{name} ")


@marker("help")
def help_text(*words: str) -> str:
    """``help:data list``: what ``hybridir data list --help`` prints."""
    group, name = command_group(), " ".join(words)
    if words and name not in dict(walk(group)):
        raise MarkerError(f"there is no command 'hybridir {name}'")
    asked: dict[str, Any] = {"prog_name": "hybridir", "terminal_width": HELP_WIDTH}
    out = io.StringIO()
    with redirect_stdout(out):
        group.main([*words, "--help"], standalone_mode=False, **asked)
    return out.getvalue().strip()
