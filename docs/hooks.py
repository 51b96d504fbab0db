"""MkDocs hook: replaces ``{{ kind:argument }}`` in the pages by what the code and the results say.

No number of a page is typed by hand. A marker that cannot be resolved ends the build.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from statistics import fmean
from typing import Any

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
PACKAGE = DOCS.parent / "hybridir_mteb"
MARKER = re.compile(r"\{\{ *([a-z]+)(?::([^{}]*?))? *\}\}")
README_TABLE = re.compile(r"(<!-- table:([\w -]+?) -->)\n(.*?)(<!-- /table -->)", re.DOTALL)
SETTINGS = {"mono": "monolingual", "cross": "cross-lingual", "multi": "multilingual"}
HELP_WIDTH = 88
MAKERS = {
    "bench": "make bench",
    "bench-scale": "make bench-scale",
    "compare-debiasing": "make compare-debiasing",
    "compare-pocket": "make compare-pocket",
    "debias-pocket": "make debias-pocket",
    "train-pocket": "make train-pocket",
}


class MarkerError(Exception):
    """A marker that cannot be resolved."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called by MkDocs for every page."""
    from mkdocs.exceptions import PluginError

    try:
        return render(markdown)
    except MarkerError as error:
        raise PluginError(f"{page.file.src_path}: {error}") from error


def render(markdown: str) -> str:
    """The text with every marker replaced.

    Raises:
        MarkerError: A marker is unknown, or what it refers to is missing.
    """

    def replace(match: re.Match[str]) -> str:
        kind, argument = match.group(1), (match.group(2) or "").strip()
        if kind not in MARKERS:
            raise MarkerError(f"unknown marker {match.group(0)}; known: {', '.join(MARKERS)}")
        return MARKERS[kind](argument)

    return MARKER.sub(replace, markdown)


# --- Results ---


def load(name: str) -> dict[str, Any]:
    """One file of ``docs/results``."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        made_by = MAKERS.get(name, "make xquad")
        raise MarkerError(f"docs/results/{path.name} is missing; {made_by} writes it")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def pick(content: Mapping[str, Any], path: str, name: str) -> Any:
    """The value at a dotted path of a results file."""
    found: Any = content
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise MarkerError(f"docs/results/{name}.json has no {path!r}; run again what makes it")
        found = found[key]
    return found


def markdown_table(columns: list[str], rows: list[list[str]], *, left: int = 1) -> str:
    """A table whose first columns are text and the others numbers."""
    rule = ["---" if at < left else "--:" for at in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])


def made_by(content: Mapping[str, Any]) -> str:
    """How a file was made, in one line of italics."""
    made = content["made_by"]
    machine = made["machine"]
    versions = ", ".join(f"{package} {number}" for package, number in made["versions"].items())
    return (
        f"*Made by `{made['command']}` on {made['date']}, commit {made['commit']}: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['platform']}, Python {machine['python']}; {versions}.*"
    )


def result_table(names: str) -> str:
    """The table that ``hybridir report`` prints, from ``docs/results/<name>.json``, as Markdown.

    Args:
        names: One name, or several with spaces between them; each is a row.

    Returns:
        Lines without a newline at the end: columns, rule, rows.
    """
    from hybridir_mteb.report import COLUMNS, ResultRow

    rows = []
    for name in names.split():
        content = load(name)
        means = pick(content, "settings", name)
        scores = {key: list(found.values()) for key, found in content["scores"].items()}
        rows.append(ResultRow(content["collection"], content["encoder"], means, scores).cells())
    return markdown_table(list(COLUMNS), rows, left=2)


def fill_tables(markdown: str) -> str:
    """A text whose tables between ``<!-- table:NAME -->`` and ``<!-- /table -->`` are renewed."""

    def renew(match: re.Match[str]) -> str:
        return f"{match.group(1)}\n{result_table(match.group(2))}\n{match.group(4)}"

    return README_TABLE.sub(renew, markdown)


def _table(names: str) -> str:
    origins = dict.fromkeys(made_by(load(name)) for name in names.split())
    return "\n\n".join([result_table(names), *origins])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _settings(name: str) -> str:
    """Means of each setting."""
    content = load(name)
    effectiveness = ["map", "mrr", "ndcg_at_10", "recall_at_1", "recall_at_100"]
    rows = []
    for key, label in SETTINGS.items():
        means = pick(content, f"settings.{key}", name)
        rows.append(
            [
                label,
                str(means["subsets"]),
                *(_percent(means[measure]) for measure in effectiveness),
                _number(means.get("rank_distance"), 1),
                _number(means.get("rank_distance_norm"), 3),
            ]
        )
    columns = ["setting", "subsets", *(f"`{m}`" for m in effectiveness)]
    columns += ["`rank_distance`", "`rank_distance_norm`"]
    return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"


def _languages(name: str) -> str:
    """Scores of each language; the cross-lingual ones as means over the other languages."""
    from hybridir_mteb.languages import LANGUAGES

    content = load(name)
    scores = content["scores"]
    rows = []
    for code, multi in scores["multi"].items():
        pairs = {pair: score["map"] for pair, score in scores["cross"].items()}
        asked = fmean(value for pair, value in pairs.items() if pair.startswith(f"{code}-"))
        found = fmean(value for pair, value in pairs.items() if pair.endswith(f"-{code}"))
        rows.append(
            [
                f"{LANGUAGES[code].name} (`{code}`)",
                _percent(scores["mono"][code]["map"]),
                _percent(asked),
                _percent(found),
                _percent(multi["map"]),
                _number(multi["rank_distance"], 1),
                _number(multi["rank_distance_norm"], 3),
            ]
        )
    columns = ["language", "mono", "cross, as query", "cross, as passage", "multi"]
    columns += ["rank distance", "normalised"]
    return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"


def _value(argument: str) -> str:
    """``value:xquad-r settings.cross.subsets``."""
    name, path = argument.split()
    return str(pick(load(name), path, name))


def _share(argument: str) -> str:
    """``percent:xquad-r settings.multi.map``."""
    name, path = argument.split()
    return _percent(float(pick(load(name), path, name)))


def _tables(name: str) -> Any:
    """A module of tables beside this one; MkDocs does not put this folder on the path."""
    specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    tables = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tables)
    return tables


def _compare(argument: str) -> str:
    """``compare:claims paper``, ``compare:XQuADR methods`` or ``compare:XQuADR multi.map``."""
    tables = _tables("compare")
    content = load("compare-pocket")
    collections = pick(content, "collections", "compare-pocket")
    name, what = argument.split()
    if name == "claims":
        columns, rows = tables.claim_rows(collections, what)
        return markdown_table(columns, rows)
    found = pick(collections, name, "compare-pocket")
    columns, rows = (
        tables.method_rows(found) if what == "methods" else tables.test_rows(found, what)
    )
    return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"


def _debias(argument: str) -> str:
    """``debias:verdict``, ``debias:heldout``, ``debias:XQuADR effect pocket-base`` and others."""
    tables = _tables("debiasing")
    name, *rest = argument.split()
    if name in {"heldout", "components"}:
        content = load("debias-pocket")
        columns, rows = (
            tables.held_out_rows(pick(content, "held_out", "debias-pocket"))
            if name == "heldout"
            else tables.component_rows(pick(content, "lir_components", "debias-pocket"))
        )
        return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"
    content = load("compare-debiasing")
    collections = pick(content, "collections", "compare-debiasing")
    if name == "verdict":
        columns, rows = tables.verdict_rows(collections)
        return f"{markdown_table(columns, rows, left=4)}\n\n{made_by(content)}"
    found = pick(collections, name, "compare-debiasing")
    what, *arguments = rest
    if what == "effect":
        columns, rows = tables.effect_rows(found, arguments)
    else:
        makers = {"bias": tables.bias_rows, "both": tables.both_rows, "tests": tables.test_rows}
        make = makers[what]
        columns, rows = make(found, *arguments)
    return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"


def _paths(argument: str) -> str:
    """``paths:cranfield`` or ``paths:cranfield explained``: one encoder, four paths."""
    content = load("bench-scale")
    name, _, what = argument.partition(" ")
    found = pick(content, f"four_paths.collections.{name}", "bench-scale")
    measures = list(found["paths"]["ours"])
    rows = [[label, values] for label, values in found["paths"].items()]
    if what == "explained":
        without = found["explained"]["identical_ids"]["ours_without_them"]
        rows.append(["ours, identical ids dropped", without])
    cells = [[label, *(_number(values[m], 5) for m in measures)] for label, values in rows]
    table = markdown_table(["path", *(f"`{m}`" for m in measures)], cells)
    origin = content["four_paths"].get("made_by", content.get("made_by"))
    return f"{table}\n\n{made_by({'made_by': origin})}"


def _held_out(_: str) -> str:
    """Held-out scores of every seed of the pocket encoders, and which seed ships."""
    content = load("train-pocket")
    measures = ["mono_map", "cross_map", "multi_map", "rank_distance", "language_probe"]
    rows = [["`base`", "", *(_number(content["backbone"][m], 3) for m in measures), ""]]
    for method, found in content["methods"].items():
        for seed, values in found["held_out"].items():
            shipped = "yes" if int(seed) == found["shipped_seed"] else ""
            numbers = [_number(values[measure], 3) for measure in measures]
            rows.append([f"`{method}`", seed, *numbers, shipped])
    columns = ["method", "seed", *(f"`{m}`" for m in measures), "shipped"]
    return f"{markdown_table(columns, rows)}\n\n{made_by(content)}"


# --- Speed: part -> quantity -> (label, limit) ---

AT_MOST, AT_LEAST = "at most", "at least"
Limit = tuple[str, str, float]  # direction, path, factor from the limit's unit to the quantity's
BENCH: dict[str, dict[str, tuple[str, Limit | None]]] = {
    "startup": {
        "startup_ms_by_importtime": (
            "hook at interpreter start, ms",
            (AT_MOST, "limits_ms.startup", 1),
        ),
        "registration_ms_within_import_mteb": ("registration, timed inside the process, ms", None),
        "import_mteb_ms_with_plugin_by_importtime": ("`import mteb` with the plugin, ms", None),
        "import_mteb_ms_without_plugin_by_importtime": (
            "`import mteb` with `HYBRIDIR_AUTOLOAD=0`, ms",
            None,
        ),
        "import_mteb_ms_added_by_importtime": (
            "median difference of the two, run by turns, ms",
            (AT_MOST, "limits_ms.import_mteb", 1),
        ),
    },
    "load": {
        "seconds": ("time to load, s", (AT_MOST, "limits.seconds", 1)),
        "peak_mib_of_imports": ("peak memory of the imports, MiB", None),
        "peak_mib_added": (
            "peak memory added by the model, MiB",
            (AT_MOST, "limits.gb", 1e9 / 2**20),
        ),
    },
    "encode": {
        "texts": ("texts", None),
        "median_seconds.sentence_transformers_batch_32": (
            "`SentenceTransformer.encode`, batches of 32, s",
            None,
        ),
        "median_seconds.ours_fp32": ("token budget, fp32, s", None),
        "median_seconds.ours_bf16": ("token budget, bf16, s", None),
        "times_as_fast_as_batch_32.ours_fp32": (
            "times as fast, fp32",
            (AT_LEAST, "limits.times_as_fast", 1),
        ),
        "times_as_fast_as_batch_32.ours_bf16": ("times as fast, bf16", None),
        "largest_difference_fp32": (
            "largest difference of a component, fp32",
            (AT_MOST, "limits.largest_difference", 1),
        ),
        "smallest_cosine_bf16": ("smallest cosine between bf16 and fp32", None),
    },
    "rank": {
        "queries": ("queries", None),
        "passages": ("passages in the pool", None),
        "seconds": ("scores, exact ranks and all measures, s", None),
        "seconds_of_which_scores": ("of which scores (matrix products), s", None),
        "peak_mib": ("peak memory, MiB", (AT_MOST, "limits.gb", 1e9 / 2**20)),
        "pytrec_eval_seconds_extrapolated": ("pytrec_eval, extrapolated from a sample, s", None),
        "pytrec_eval_input_seconds_extrapolated": (
            "building its input from the scores, extrapolated, s",
            None,
        ),
        "times_as_fast_as_pytrec_eval": (
            "times as fast, from scores to measures",
            (AT_LEAST, "limits.times_as_fast", 1),
        ),
        "times_as_fast_with_scores_in_ours_alone": (
            "times as fast, with the scores in our time alone",
            None,
        ),
        "largest_difference_of_average_precision": (
            "largest difference of average precision",
            None,
        ),
    },
    "bias": {
        "queries": ("queries", None),
        "passages": ("passages in the pool", None),
        "measures": ("measures, `mrc` at full depth among them", None),
        "seconds": ("from embeddings to the report, s", (AT_MOST, "limits.seconds", 1)),
        "peak_mib": ("peak memory, MiB", (AT_MOST, "limits.gb", 1e9 / 2**20)),
    },
    "overhead": {
        "distinct_texts": ("distinct texts", None),
        "one_pass_seconds": ("one encoding pass, s", None),
        "three_tasks_seconds": ("`mteb.evaluate` of the three tasks, s", None),
        "three_tasks_over_one_pass": (
            "three tasks over one pass",
            (AT_MOST, "limits.three_tasks_over_one_pass", 1),
        ),
        "texts_stock_mteb_would_encode": ("texts if each subset were encoded on its own", None),
        "stock_over_ours": ("that over the distinct texts", None),
    },
}


def _bench(part: str) -> str:
    report = load("bench")
    if part not in report:
        raise MarkerError(
            f"docs/results/bench.json has no part {part!r}: "
            f"python docs/experiments/bench.py {part} measures it"
        )
    found = report[part]
    table = _precision_table(found) if part == "bf16" else _limit_table(found, part)
    return f"{table}\n\n{made_by(found if 'made_by' in found else report)}"


def _plain(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _limit_table(found: Mapping[str, Any], part: str) -> str:
    if part not in BENCH:
        raise MarkerError(f"docs/hooks.py does not know how to show the part {part!r}")
    rows = []
    for path, (label, limit) in BENCH[part].items():
        value = pick(found, path, "bench")
        target = ""
        if limit is not None:
            direction, where, factor = limit
            bound = pick(found, where, "bench") * factor
            met = value <= bound if direction == AT_MOST else value >= bound
            target = f"{direction} {bound:.4g}: {'met' if met else '**missed**'}"
        rows.append([label, _plain(value), target])
    return markdown_table(["quantity", "measured", "target"], rows)


def _precision_table(found: Mapping[str, Any]) -> str:
    rows = []
    for key, values in found.items():
        if isinstance(values, Mapping) and {"fp32", "bf16"} <= values.keys():
            setting, measure = key.split("_", 1)
            difference = f"{values['bf16'] - values['fp32']:+.4f}"
            rows.append(
                [
                    f"{SETTINGS[setting]} `{measure}`",
                    f"{values['fp32']:.4f}",
                    f"{values['bf16']:.4f}",
                    difference,
                ]
            )
    return markdown_table(["mean", "fp32", "bf16", "difference"], rows)


# --- Code ---


def _file(argument: str) -> str:
    """A file below ``docs``, fenced."""
    path = DOCS / argument
    if not path.is_file():
        raise MarkerError(f"docs/{argument} does not exist")
    return f"```{path.suffix[1:]}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _constant(argument: str) -> str:
    """``const:encode.py CPU_TOKEN_BUDGET``: a literal of the package, read without importing."""
    file, name = argument.split()
    for node in ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == [name]:
            value = ast.literal_eval(node.value)
            return f"{value:g}" if isinstance(value, float) else str(value)
    raise MarkerError(f"hybridir_mteb/{file} defines no {name}")


def _measures(_: str) -> str:
    """Every built-in measure with the sentence that its code gives."""
    from hybridir_mteb.metrics.effectiveness import EFFECTIVENESS
    from hybridir_mteb.metrics.language_bias import LANGUAGE_BIAS
    from hybridir_mteb.settings import Setting

    rows = [
        [
            f"`{measure.name}`",
            measure.description,
            "all" if measure.settings == set(Setting) else ", ".join(sorted(measure.settings)),
        ]
        for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS)
    ]
    return markdown_table(["measure", "what it is", "settings"], rows, left=3)


def _collections(_: str) -> str:
    """Size of every built-in collection, from its descriptive statistics."""
    from hybridir_mteb.tasks import MLQA_R, POCKETQA_R, XQUAD_R

    rows = []
    for spec in (POCKETQA_R, XQUAD_R, MLQA_R):
        path = PACKAGE / "data" / "descriptive_stats" / f"{spec.name}MultilingualRetrieval.json"
        statistics = json.loads(path.read_text(encoding="utf-8"))[spec.split]
        subsets = statistics["hf_subset_descriptive_stats"]
        pools = {subset["num_documents"] for subset in subsets.values()}
        relevant = [s["relevant_docs_statistics"] for s in subsets.values()]
        least = min(s["min_relevant_docs_per_query"] for s in relevant)
        most = max(s["max_relevant_docs_per_query"] for s in relevant)
        rows.append(
            [
                f"`{spec.name}`",
                spec.card.license,
                str(len(spec.languages)),
                str(statistics["num_queries"]),
                " to ".join(str(pool) for pool in sorted(pools)),
                str(least) if least == most else f"{least} to {most}",
            ]
        )
    columns = ["collection", "licence", "languages", "queries", "passages", "relevant per query"]
    return markdown_table(columns, rows, left=2)


# --- Command line ---


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


def _help(argument: str) -> str:
    group = command_group()
    if argument and argument not in dict(walk(group)):
        raise MarkerError(f"there is no command 'hybridir {argument}'")
    out = io.StringIO()
    with redirect_stdout(out):
        group.main(
            [*argument.split(), "--help"],
            prog_name="hybridir",
            standalone_mode=False,
            terminal_width=HELP_WIDTH,
        )
    return out.getvalue().strip()


def _scale(part: str) -> str:
    """``scale:search`` and so on: one part of ``make bench-scale``."""
    content = load("bench-scale")
    found = pick(content, part, "bench-scale")
    if part not in SCALE:
        raise MarkerError(f"docs/hooks.py does not know how to show the part {part!r}")
    columns, rows = SCALE[part](found)
    return f"{markdown_table(columns, rows)}\n\n{made_by(found)}"


def _sizes(found: Mapping[str, Any]) -> list[str]:
    return sorted((key for key in found if key.isdigit()), key=int)


def _scale_search(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    formats = ("float32", "float16")
    rows = [
        [f"{int(size):,}"]
        + [_number(found[f][size][key], 1) for f in formats for key in ("seconds", "peak_mib")]
        for size in _sizes(found[formats[0]])
    ]
    times = found[formats[0]]["times_the_passages"]
    growth = [f"x {times:.0f}"]
    for f in formats:
        growth += [f"x {found[f]['times_the_seconds']:.1f}", f"{found[f]['peak_mib_added']:+.1f}"]
    heads = [f"{f}, {unit}" for f in formats for unit in ("s", "peak MiB")]
    return ["passages", *heads], [*rows, growth]


def _scale_versus(
    found: Mapping[str, Any], other: str, ratio: str
) -> tuple[list[str], list[list[str]]]:
    sides = list(next(found[size] for size in _sizes(found))["seconds"])
    rows = [
        [
            f"{int(size):,}",
            *(_number(found[size]["seconds"][side], 2) for side in sides),
            _number(found[size][ratio], 2),
            str(found[size]["queries_with_the_same_passages"]),
        ]
        for size in _sizes(found)
    ]
    heads = [f"{side.replace('_', ' ')}, s" for side in sides]
    return ["passages", *heads, f"times as fast as {other}", "queries with the same top 100"], rows


def _scale_reader(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    keys = ("compressed_mb", "seconds", "passages_per_second", "peak_mib")
    rows = [
        [f"{int(size):,}", *(_number(found[size][k], 1) for k in keys)] for size in _sizes(found)
    ]
    return ["passages", "gzip MB", "s", "passages/s", "peak MiB"], rows


def _scale_lines(labels: Mapping[str, str]) -> Callable[[Any], tuple[list[str], list[list[str]]]]:
    def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        return ["quantity", "measured"], [[label, _plain(found[k])] for k, label in labels.items()]

    return table


SCALE: dict[str, Callable[[Any], tuple[list[str], list[list[str]]]]] = {
    "search": _scale_search,
    "faiss": lambda found: _scale_versus(found, "faiss", "times_as_fast_as_faiss"),
    "mteb": lambda found: _scale_versus(found, "mteb", "times_as_fast_as_mteb"),
    "reader": _scale_reader,
    "ranks": _scale_lines(
        {
            "passages": "passages in the pool",
            "relevant": "relevant passages, all ranked exactly",
            "seconds": "seconds",
            "peak_mib": "peak memory, MiB",
            "median_rank": "median of their ranks",
            "recall_at_100_from_top_100": "Recall@100 from the top 100",
            "recall_at_100_from_all_ranks": "Recall@100 from all ranks",
            "largest_difference": "largest difference of a query",
        }
    ),
    "encode": _scale_lines(
        {
            "passages": "passages",
            "shards": "shards",
            "shards_kept_after_kill_9": "complete when the process was killed (SIGKILL)",
            "texts_encoded_after_resuming": "texts encoded by the second run",
            "texts_encoded_again_of_kept_shards": "of them in shards that were complete",
            "texts_per_second": "texts per second",
            "peak_mib_of_model": "peak memory with the model loaded, MiB",
            "peak_mib": "peak memory, MiB",
        }
    ),
}


MARKERS: dict[str, Callable[[str], str]] = {
    "bench": _bench,
    "collections": _collections,
    "compare": _compare,
    "const": _constant,
    "debias": _debias,
    "file": _file,
    "heldout": _held_out,
    "help": _help,
    "languages": _languages,
    "measures": _measures,
    "paths": _paths,
    "percent": _share,
    "scale": _scale,
    "settings": _settings,
    "table": _table,
    "value": _value,
}


if __name__ == "__main__":  # renews the tables of the README
    README = DOCS.parent / "README.md"
    README.write_text(fill_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
