"""YAML of recipes: YAML 1.2 as people mean it, one error for everything else."""

import pytest
import yaml

from hybridir_mteb.errors import SettingError
from hybridir_mteb.training.plain_yaml import safe_load
from hybridir_mteb.training.recipe import PACKAGED, make_recipe, read_recipe


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("10", 10),
        ("-3", -3),
        ("1.5", 1.5),
        ("1.0e-4", 1e-4),
        ("true", True),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("1_0", "1_0"),
        ("010", 10),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        (".nan", ".nan"),
        ("-.inf", "-.inf"),
        ("1e-4", "1e-4"),
        ("٣", "٣"),
        ("'10'", "10"),
        ("[no, en]", ["no", "en"]),
    ],
)
def test_scalars_are_what_people_mean(written, value):
    found = safe_load(f"x: {written}\n")
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


@pytest.mark.parametrize("path", sorted(PACKAGED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_packages_own_recipes_are_read_as_before(path):
    text = path.read_text(encoding="utf-8")
    assert safe_load(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: {b: 1, b: 2}\n",
        "a: " + "[" * 5000,
        "a: " + "9" * 5000,
        "a: !!int x\n",
        "a: !!float nan\n",
        "a: !!bool maybe\n",
        "a: !!timestamp x\n",
        "a: !!binary x\n",
        "a: !!python/object:os.system x\n",
        "? [1]\n: 2\n",
        "a: *b\n",
        "a: \x00\n",
        "\ta: 1\n",
        "a: 1\n---\nb: 2\n",
    ],
)
def test_everything_else_is_one_error(text):
    with pytest.raises(yaml.YAMLError):
        safe_load(text)


def test_a_name_that_is_merged_in_may_be_replaced():
    text = "base: &base {a: 1, b: 2}\nchild:\n  <<: *base\n  b: 3\n"
    assert safe_load(text)["child"] == {"a": 1, "b": 3}


GOOD = {"backbone": "pocket", "method": "hybrid"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", True),
        ("learning_rate", "1_0"),
        ("learning_rate", "nan"),
        ("learning_rate", ".inf"),
        ("steps", True),
        ("steps", "1_0"),
        ("steps", "٣"),
        ("steps", 2.5),
        ("steps", float("nan")),
        ("batch_size", "0x10"),
        ("seed", False),
        ("temperature", float("nan")),
        ("interpolation", [True]),
        ("interpolation", [float("nan")]),
        ("lora", {"rank": True}),
        ("data", [{"kind": "documents", "keep": float("nan")}]),
    ],
)
def test_numbers_of_a_recipe_are_numbers(name, value):
    with pytest.raises(SettingError, match=name):
        make_recipe({**GOOD, name: value})


def test_text_that_is_a_number_is_one(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("backbone: pocket\nmethod: hybrid\nlearning_rate: 1e-4\nsteps: '10'\n")
    recipe = read_recipe(path)
    assert (recipe.learning_rate, recipe.steps) == (1e-4, 10)


def test_a_message_is_short_however_long_the_input_is():
    with pytest.raises(SettingError) as caught:
        make_recipe({**GOOD, "x" * 10_000: 1, "steps": "y" * 10_000})
    assert len(str(caught.value)) < 600
    with pytest.raises(SettingError, match="and 97 more"):
        make_recipe({**GOOD, **{f"x{at}": at for at in range(100)}})
