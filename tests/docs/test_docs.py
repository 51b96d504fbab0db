"""The documentation: markers resolve, examples run, nothing has drifted from code and results."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import readme
import yaml
from markers import MarkerError, bench, render, report, results
from markers.code import command_group, walk
from toys import REPOSITORY
from toys.browser import opened
from toys.cli import succeed

import hybridir_mteb
from hybridir_mteb.adapters.mteb.benchmark import CITATION
from hybridir_mteb.results.tables import summarise

DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"
PAGES = sorted((DOCS / "pages").glob("**/*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKED = re.compile(r"^<!-- (run|plugin: \w+ \S+) -->\n```python\n(.*?)^```$", re.M | re.S)
MACHINE_PATH = re.compile(r"/(work|tmp|root|home|Users)/")


NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|txt|md))(?::\w+)?`")


def marked(page: Path, kind: str) -> list[tuple[str, str]]:
    """The python examples of a page with a mark: the mark's arguments, the code."""
    found = MARKED.findall(page.read_text(encoding="utf-8"))
    return [(mark.partition(": ")[2], code) for mark, code in found if mark.startswith(kind)]


def test_the_navigation_lists_every_page():
    config = (DOCS / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- .+: (\S+\.md)$", config, re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS / "pages")) for page in PAGES)


def test_the_guide_for_contributors_names_what_is_there():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = ("", "hybridir_mteb", "hybridir_mteb/collections/readers", "tests/end_to_end")
    names = set(NAMED.findall(text))
    assert len(names) > 40
    assert [n for n in names if not any((REPOSITORY / p / n).exists() for p in places)] == []
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)(?=`|  )", text)) <= set(targets)
    assert len(text.splitlines()) <= 150


def test_the_demo_runs_encoders_of_the_package_whatever_the_store_has():
    """Its table is the README's, also where somebody has trained another ``pocket-hybrid``."""
    done = subprocess.run(
        ["make", "-n", "demo", "RESULTS=of-the-demo"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    store = f"HYBRIDIR_MODEL_STORE={REPOSITORY}/of-the-demo/no-store"
    assert re.findall(r"(\S+) \S+/mteb run", done.stdout) == [store]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_marker_resolves_and_no_page_holds_a_machine_path(page):
    text = render(page.read_text(encoding="utf-8"))
    assert "{{" not in text
    assert MACHINE_PATH.search(text) is None


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_fenced_python_is_python(page):
    for language, code in FENCE.findall(render(page.read_text(encoding="utf-8"))):
        if language == "python":
            compile(code, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sessions_print_what_the_page_says(page):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    names: dict[str, Any] = {}
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "pycon":
            session = parser.get_doctest(code, names, page.name, page.name, 0)
            runner.run(session, clear_globs=False)
            names = session.globs
    assert runner.failures == 0
    if page.stem == "measures":
        assert runner.tries > 10


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
@pytest.mark.parametrize(
    "page", [page for page in (README, *PAGES) if marked(page, "run")], ids=lambda page: page.stem
)
def test_marked_examples_run(page, tmp_path):
    code = "\n".join(code for _, code in marked(page, "run"))
    succeed(sys.executable, "-c", code, cwd=tmp_path)


USE_PLUGINS = """
import json, sys
import mteb
from hybridir_mteb.adapters.mteb.register import register
plugins = register()
assert plugins.problems == [], plugins.problems
for line in sys.stdin:
    kind, name = line.split()
    assert name in getattr(plugins, kind), line
model = mteb.get_model("demo/characters")
names = ["ColoursMultilingualRetrieval", "DemoSkyRetrieval"]
tasks = mteb.get_tasks(tasks=names)
results = mteb.evaluate(model, tasks, cache=None, co2_tracker=False)
print(json.dumps({r.task_name: r.scores["test"][0] for r in results.task_results}))
"""


@pytest.mark.slow
def test_every_hook_has_an_example_that_works_when_installed(tmp_path):
    examples = marked(DOCS / "pages" / "plugins.md", "plugin")
    metadata = tmp_path / "demo_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-plugin\nVersion: 1.0\n")
    points = ["[hybridir_mteb]"]
    for at, (_, code) in enumerate(examples):
        (tmp_path / f"demo_plugin_{at}.py").write_text(code, encoding="utf-8")
        points.append(f"demo{at} = demo_plugin_{at}")
    (metadata / "entry_points.txt").write_text("\n".join(points) + "\n")
    wanted = "\n".join(arguments for arguments, _ in examples)
    script = USE_PLUGINS.replace("sys.stdin", repr(wanted) + ".splitlines()")
    done = succeed(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    scores = json.loads(done.stdout.splitlines()[-1])
    assert "worst_rank" in scores["ColoursMultilingualRetrieval"]
    assert scores["DemoSkyRetrieval"]["main_score"] == 1.0
    from hybridir_mteb.plugins import hookspecs

    contract = {name for name in vars(hookspecs) if name.startswith("register_")}
    assert {f"register_{arguments.split()[0]}" for arguments, _ in examples} == contract


def test_every_command_has_its_help_on_the_page():
    page = (DOCS / "pages" / "cli.md").read_text(encoding="utf-8")
    for name, _ in walk(command_group()):
        assert f"{{{{ help:{name} }}}}" in page
    assert "--collection" in render("{{ help:report }}")


def test_every_environment_variable_is_on_the_first_page():
    page = (DOCS / "pages" / "index.md").read_text(encoding="utf-8")
    sources = [*(REPOSITORY / "hybridir_mteb").rglob("*.py")]
    named = {
        name
        for path in sources
        for name in re.findall(r'"(HYBRIDIR_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    documented = set(re.findall(r"^\| `(HYBRIDIR_[A-Z_]+)`", page, re.MULTILINE))
    assert documented == named - {"HYBRIDIR_MTEB_BENCHMARK"}  # an attribute, not a variable


def test_every_measure_has_a_section():
    from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
    from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS

    page = (DOCS / "pages" / "measures.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^### (\S+)$", page, re.MULTILINE))
    for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS):
        family = re.sub(r"^(?!mrr|(lang_)?ndcg)(\w+)_at_\d+$", r"\2_at_k", measure.name)
        assert re.sub(r"^top1_\w+$", "top1", family) in sections


@pytest.mark.parametrize(
    "name", ["pocketqa-r", "pocketqa-r-hybrid", "pocketqa-r-adversarial", "xquad-r", "mlqa-r"]
)
def test_the_result_table_is_the_report_of_the_same_scores(name, tmp_path):
    content = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    folder = tmp_path / "results" / content["encoder"].replace("/", "__") / "revision"
    folder.mkdir(parents=True)
    endings = {"mono": "Monolingual", "cross": "CrossLingual", "multi": "Multilingual"}
    for setting, scores in content["scores"].items():
        blocks = [
            {"hf_subset": subset, "n_passages": 1, **score} for subset, score in scores.items()
        ]
        file = folder / f"{content['collection']}{endings[setting]}Retrieval.json"
        file.write_text(json.dumps({"scores": {"test": blocks}}))
    (row,) = summarise(tmp_path)
    last = results.result_table(name).splitlines()[-1]
    assert last == "| " + " | ".join(row.cells()) + " |"


def test_the_tables_of_the_readme_are_those_of_the_results():
    text = README.read_text(encoding="utf-8")
    assert readme.TABLE.search(text)
    assert text == readme.fill_tables(text), "a table is old: python docs/readme.py"


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == hybridir_mteb.__version__
    assert citation["references"][0]["title"] in " ".join(CITATION.split())


def test_the_pictures_show_the_committed_results():
    pytest.importorskip("matplotlib")
    import plots

    pictures = set((DOCS / "pages" / "img").glob("*.svg"))
    pictures -= set((DOCS / "pages" / "img").glob("way-*.svg"))  # of the code: test_ways.py
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert plots.digest(picture.stem) in text, (
            f"{picture.name} is old: python docs/experiments/plots.py"
        )


def fake_bench() -> dict[str, Any]:
    """A bench.json in the layout that docs/experiments/bench.py writes."""
    content = json.loads((DOCS / "results" / "pocketqa-r.json").read_text(encoding="utf-8"))
    report: dict[str, Any] = {}

    def put(part: dict[str, Any], path: str, value: float) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value

    for name, quantities in bench.BENCH.items():
        part = report.setdefault(name, {"made_by": content["made_by"]})
        for path in quantities:
            put(part, path, 3)
        for limit in bench.LIMITS[name].values():
            put(part, limit.path, 4 if limit.direction == bench.AT_MOST else 3)
    report["bf16"] = {
        "made_by": content["made_by"],
        "mono_map": {"fp32": 0.8, "bf16": 0.79},
        "multi_map": {"fp32": 0.3, "bf16": 0.3},
    }
    return report


def test_a_missing_part_of_the_measurements_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(MarkerError, match="make bench"):
        render("{{ bench:rank }}")
    report = fake_bench()
    (tmp_path / "bench.json").write_text(json.dumps(report))
    for marker in (*(f"bench:{part}" for part in bench.BENCH), "bench-precision"):
        assert render(f"{{{{ {marker} }}}}").count("\n| ") >= 2
    del report["bf16"], report["rank"]["seconds"]
    (tmp_path / "bench.json").write_text(json.dumps(report))
    with pytest.raises(MarkerError, match=r"bench\.py bf16"):
        render("{{ bench-precision }}")
    with pytest.raises(MarkerError, match="'seconds'"):
        render("{{ bench:rank }}")


def test_a_target_is_called_missed_where_it_is(tmp_path, monkeypatch):
    report = fake_bench()
    report["load"]["seconds"] = 5
    (tmp_path / "bench.json").write_text(json.dumps(report))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert "| 5 | at most 4: **missed** |" in render("{{ bench:load }}")
    assert "| 3 | at least 3: met |" in render("{{ bench:rank }}")


@pytest.mark.parametrize(
    "marker",
    [
        "{{ nothing }}",
        "{{ help:nothing }}",
        "{{ file:nothing }}",
        "{{ table:nothing }}",
        "{{ value:xquad-r }}",
    ],
)
def test_a_marker_that_refers_to_nothing_is_an_error(marker):
    with pytest.raises(MarkerError):
        render(marker)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation, built without a warning."""
    pytest.importorskip("material")
    place = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file"]
    command += [str(DOCS / "mkdocs.yml"), "--site-dir", str(place)]
    assert "WARNING" not in succeed(*command, NO_MKDOCS_2_WARNING="1").stderr
    return place


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    loaded = re.compile(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?:)?//", re.I)
    for page in site.rglob("*.html"):
        assert loaded.search(page.read_text(encoding="utf-8")) is None, page.name


@pytest.mark.slow
def test_no_table_is_wider_than_its_page_and_no_page_than_a_phone(site, browser, tmp_path):
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    pages.remove("404.html")  # it loads its style from the root of a server
    look = (DOCS.parent / "tests/docs/look.html").read_text(encoding="utf-8")
    given = {"PAGES": json.dumps(pages), "WIDTHS": "[1280, 390]"}
    names = "; ".join(f"const {name} = {value}" for name, value in given.items())
    page = site / "look.html"
    page.write_text(look.replace("const found", f"{names};\nconst found"), encoding="utf-8")
    options = ("--allow-file-access-from-files", "--virtual-time-budget=600000", "--dump-dom")
    done = opened(browser, page, tmp_path, *options, "--window-size=1400,1000")
    page.unlink()
    assert f"{len(pages)} pages<br></body>" in done.stdout, done.stdout[-2000:]


def test_the_report_of_the_site_shows_every_committed_row():
    rows = report.rows()
    compared = json.loads((DOCS / "results/compare-methods-muse.json").read_text(encoding="utf-8"))
    seeds = compared["seeds"]["made"]
    name = f"hybridir/muse-hybrid+lir ({compared['precision']}, {seeds} seeds)"
    encoders = {"hybridir/pocket-base (bf16, 1 seed)", "hybridir/pocket-adversarial", name}
    assert encoders <= {row.encoder for row in rows}
    by = {(row.collection, row.encoder): row for row in rows}
    assert len(by) == len(rows)
    of = compared["collections"]["MLQAR"]["contenders"]["hybrid+lir"]["mean"]
    means = by["MLQA-R, languages of muse", name].means
    assert means["cross"]["map"] == of["cross.map"]
    assert means["multi"]["lpr"] == of["multi.lpr"]
    assert ("XQuAD-R in unseen languages", name.replace("+lir", "")) in by
    text = report.report_page()
    assert "make compare-methods BACKBONES=muse on 20" in text
    assert '<a href="index.html">' in text
    assert MACHINE_PATH.search(text) is None


@pytest.mark.slow
def test_the_search_box_of_a_page_opened_as_a_file_finds_rank_distance(site, browser, tmp_path):
    typing = (DOCS.parent / "tests/docs/type.html").read_text(encoding="utf-8")
    typing = typing.replace("QUERY", '"rank distance"')
    text = (site / "index.html").read_text(encoding="utf-8")
    page = site / "typed.html"
    page.write_text(text.replace("</body>", f"{typing}</body>"), encoding="utf-8")
    done = opened(browser, page, tmp_path, "--virtual-time-budget=20000", "--dump-dom")
    page.unlink()
    found = re.search(r"<title>found (.*?)</title>", done.stdout)
    assert found, done.stderr[-2000:]
    assert {"measures.html", "hybrid-vs-adversarial.html"} <= set(found[1].split())
