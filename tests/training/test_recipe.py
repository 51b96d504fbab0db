"""Recipes: what is refused, how they extend each other, and the dry run of every packaged one."""

import re
from pathlib import Path

import pytest
import yaml
from mteb.models.model_implementations import MODEL_REGISTRY
from toys.training import write_parallel_jsonl
from typer.testing import CliRunner

from hybridir_mteb.adapters.mteb.load import pinned_revision
from hybridir_mteb.cli.app import app
from hybridir_mteb.errors import DataUnavailableError, SettingError, TrainingError, UnknownNameError
from hybridir_mteb.training import plan
from hybridir_mteb.training.held_out import held_out_items
from hybridir_mteb.training.leak import check_leaks
from hybridir_mteb.training.plan import make_plan, run_folder
from hybridir_mteb.training.recipe import PACKAGED, make_recipe, packaged_recipes, read_recipe

BASE = {"backbone": "pocket", "method": "mono"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "pocket"}, "method: Field required"),
        ({**BASE, "stepps": 3}, "stepps: Extra inputs"),
        ({**BASE, "steps": 0, "seed": "x"}, "steps: .*seed: "),
        ({**BASE, "interpolation": [0.0]}, "interpolation"),
        ({**BASE, "patience": 2}, "evaluate_every"),
        ({**BASE, "held_out_every": 0, "evaluate_every": 5}, "held_out_every"),
        ({**BASE, "data": [{"kind": "documents", "keep": 2}]}, "keep"),
        ({**BASE, "data": []}, "data"),
    ],
)
def test_an_impossible_recipe_names_every_field(fields, message):
    with pytest.raises(SettingError, match=message):
        make_recipe(fields)


def test_recipes_extend_each_other_and_flags_win(tmp_path):
    (tmp_path / "base.yaml").write_text("backbone: pocket\nmethod: mono\nsteps: 5\nseed: 1\n")
    (tmp_path / "child.toml").write_text('extends = "base.yaml"\nmethod = "hybrid"\nsteps = 7\n')
    recipe = read_recipe(tmp_path / "child.toml", seed=3, steps=None)
    assert (recipe.name, recipe.steps, recipe.seed) == ("hybridir/pocket-hybrid", 7, 3)
    (tmp_path / "loop.yaml").write_text("extends: loop.yaml\n")
    with pytest.raises(SettingError, match="extends itself"):
        read_recipe(tmp_path / "loop.yaml")
    (tmp_path / "bad.yaml").write_text("backbone: [")
    with pytest.raises(SettingError, match=r"bad\.yaml"):
        read_recipe(tmp_path / "bad.yaml")
    with pytest.raises(DataUnavailableError, match="pocket-hybrid"):
        read_recipe(Path("no-such-recipe"))


def test_options_of_the_method_are_replaced_one_by_one(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("backbone: pocket\nmethod: codeswitch\nmethod_options: {lexicons: here}\n")
    recipe = read_recipe(path, method_options={"probability": 0.3})
    assert recipe.method_options == {"lexicons": "here", "probability": 0.3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method_options": {"batches": "foo"}}, "unknown kind of batch foo"),
        ({"method_options": {"alpha": "abc"}}, "alpha of mono is a number, not 'abc'"),
        ({"method_options": {"batch_language": "ja"}}, "batch_language 'ja'"),
        ({"interpolation": [0.5, 1.0], "held_out_every": 1000}, "lower held_out_every"),
        ({"evaluate_every": 5, "held_out_every": 1000}, "fewer than 2 held-out items"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_loaded(tmp_path, changes, message):
    data = write_parallel_jsonl(tmp_path / "d.jsonl")
    fields = {**BASE, "data": [{"kind": "jsonl", "path": str(data)}], **changes}
    with pytest.raises(SettingError, match=message):
        make_plan(make_recipe(fields), leak_check=False)


def test_a_run_is_resumed_only_with_the_same_data_and_devices(tmp_path):
    path = write_parallel_jsonl(tmp_path / "d.jsonl")
    recipe = make_recipe({**BASE, "data": [{"kind": "jsonl", "path": str(path)}]})
    plan = make_plan(recipe, leak_check=False)
    assert run_folder(plan) == run_folder(make_plan(recipe, leak_check=False))
    assert run_folder(plan) != run_folder(plan, devices=2)
    write_parallel_jsonl(path, n_items=50)
    assert run_folder(plan) != run_folder(make_plan(recipe, leak_check=False))


def test_weights_of_the_hub_are_pinned_by_the_recipe_or_else_by_mteb(tmp_path):
    path = write_parallel_jsonl(tmp_path / "d.jsonl")
    fields = {**BASE, "backbone": "xlmr", "data": [{"kind": "jsonl", "path": str(path)}]}

    def revision(**changes: str) -> str | None:
        recipe = make_recipe({**fields, **changes})
        return make_plan(recipe, leak_check=False, pinned=pinned_revision).revision

    assert revision() == MODEL_REGISTRY["FacebookAI/xlm-roberta-base"].revision
    other = "intfloat/multilingual-e5-small"
    assert revision(weights=other) == MODEL_REGISTRY[other].revision
    assert revision(weights=other, revision="0" * 40) == "0" * 40
    assert revision(weights=str(tmp_path)) is None


@pytest.mark.parametrize(("family", "n_recipes"), [("pocket", 11), ("muse", 9), ("gemma3-270m", 8)])
def test_recipes_of_a_backbone_differ_in_the_method_and_what_was_tuned_for_it(family, n_recipes):
    names = [name for name in packaged_recipes() if name.startswith(f"{family}-")]
    names.remove(f"{family}-ntrex")  # which has other data
    assert len(names) == n_recipes
    recipes = [read_recipe(Path(name)).model_dump() for name in names]
    assert {recipe["backbone"] for recipe in recipes} == {family}
    assert [recipe.pop("method") for recipe in recipes] == [n.split(f"{family}-")[1] for n in names]
    shared = read_recipe(Path(f"{family}-hybrid")).learning_rate
    for name, recipe in zip(names, recipes, strict=True):
        del recipe["method_options"]
        if name == f"{family}-adversarial":  # tuned by itself
            recipe["learning_rate"] = shared
    assert all(recipe == recipes[0] for recipe in recipes)


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_questions_of_the_package_are_on_the_right_side_of_the_split():
    plan = make_plan(read_recipe(Path("pocket-mono")), leak_check=False)
    trained = {source.name: source.items for source in plan.train}
    held_out = {source.name: source.items for source in plan.held_out}
    assert len(trained["train"]) == 144
    assert "train" not in held_out
    assert trained["held-out"] == ()
    assert len(held_out["held-out"]) == 27
    # Two questions about each of 207 passages; every fifth passage is held out.
    assert (len(trained["passages"]), len(held_out["passages"])) == (2 * 166, 2 * 41)
    asked = held_out_items(plan.held_out, plan.recipe.held_out_items)
    assert asked == [*held_out["held-out"], *held_out["passages"]]
    assert len(asked) == 109
    documents = [
        {item.document for items in part.values() for item in items} for part in (trained, held_out)
    ]
    assert not documents[0] & documents[1]
    for item in (*trained["train"], *asked):
        assert set(item.examples) == set(plan.languages)


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("backbone", ["pocket", "muse"])
def test_more_questions_do_not_take_more_of_the_batches(backbone):
    for name in (backbone, f"{backbone}-ntrex"):
        plan = make_plan(read_recipe(Path(name), method="mono"), leak_check=False)
        temperature = plan.recipe.sampling_temperature
        weights = {source.name: len(source.items) ** (1 / temperature) for source in plan.train}
        cut = weights["NTREX-128"] / sum(weights.values())
        assert 1 - cut == pytest.approx(0.31, abs=0.005)


def test_a_recipe_with_other_data_differs_in_nothing_else():
    for backbone in ("pocket", "muse"):
        recipes = [
            read_recipe(Path(name), method="mono").model_dump()
            for name in (backbone, f"{backbone}-ntrex")
        ]
        *same, (kind, path) = [(data["kind"], data.get("path")) for data in recipes[0].pop("data")]
        assert (kind, path) == ("jsonl", "package:encyclopaedia/passages.jsonl.gz")
        assert same == [(data["kind"], data.get("path")) for data in recipes[1].pop("data")]
        assert {recipe.pop("sampling_temperature") for recipe in recipes} == {1.3, 3.0}
        assert recipes[0] == recipes[1]


def test_of_many_impossible_fields_the_first_are_named():
    names = ("steps", "epochs", "batch_size", "warmup", "seed", "save_every", "patience", "dropout")
    with pytest.raises(SettingError) as caught:
        make_recipe({**BASE, **dict.fromkeys(names, "x")})
    assert len(str(caught.value)) < 300
    assert str(caught.value).endswith("; and 5 more")


def test_a_recipe_that_extends_itself_by_another_way_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "recipe.yaml"
    path.write_text("extends: folder/../recipe.yaml\n")
    with pytest.raises(SettingError, match="extends itself"):
        read_recipe(path)


def test_a_recipe_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "recipe.yaml"
    path.write_text("backbone: pocket\n")

    def fail(*_: object, **__: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(DataUnavailableError, match=r"recipe\.yaml: cannot be read: Input/output"):
        read_recipe(path)


# Each with data of its own, or a method of its own.
DRY = [n for n in packaged_recipes() if not re.match("(muse|gemma3-270m)-(?!hybrid$|ntrex)", n)]


@pytest.fixture(scope="module")
def leak_check_once(known):
    """The leak check, made once for all recipes of the same data."""
    found = {}

    def once(sources, texts, *, allow):
        key = tuple((source.name, len(source.items)) for source in sources)
        if key not in found:
            found[key] = check_leaks(sources, texts, allow=allow)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "evaluation_texts", lambda: known)
        patch.setattr(plan, "check_leaks", once)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("leak_check_once")
@pytest.mark.parametrize("name", DRY)
def test_every_packaged_recipe_passes_a_dry_run(name, tmp_path):
    arguments = ["train", name, "--dry-run"]
    if name in {"pocket", "pocket-ntrex"}:
        arguments += ["--method", "mono"]
    if name.startswith("llm"):  # its data are on the hub
        data = write_parallel_jsonl(tmp_path / "data.jsonl", 300)
        arguments += ["--data", str(data), "--languages", "de,en", "--revision", "0" * 40]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "GB on one device" in " ".join(done.output.split())
    assert "steps" in done.output


@pytest.mark.parametrize("name", ["7b", "70b"])
def test_accelerate_reads_the_configurations(name):
    from accelerate.commands.config.config_args import load_config_from_file

    path = PACKAGED / f"accelerate-fsdp-{name}.yaml"
    config = load_config_from_file(str(path))
    assert config.num_processes == 8 * config.num_machines
    assert yaml.safe_load(path.read_text())["fsdp_config"]["fsdp_version"] == 2


def test_unknown_names_and_options_are_refused(tmp_path):
    data = [{"kind": "jsonl", "path": str(write_parallel_jsonl(tmp_path / "d.jsonl"))}]

    def plan(**fields: object) -> object:
        return make_plan(make_recipe({**BASE, "data": data, **fields}), leak_check=False)

    with pytest.raises(UnknownNameError, match="Did you mean hybrid"):
        plan(method="hybird")
    with pytest.raises(UnknownNameError, match="backbone"):
        plan(backbone="nothing")
    with pytest.raises(TrainingError, match="trains nothing"):
        plan(method="base")
    with pytest.raises(SettingError, match="no option lamda"):
        plan(method="adversarial", method_options={"lamda": 1})
    with pytest.raises(SettingError, match="batch_language"):
        plan(method_options={"batch_language": "ru"}).pattern()  # type: ignore[attr-defined]
    assert plan(epochs=2.0).steps(1) == 2 * (96 // 32)  # type: ignore[attr-defined]
