"""Numbers on the command line and in the environment, by their grammar."""

import pytest

from hybridir_mteb.cli.numbers import float_, integer
from hybridir_mteb.cli.train import _processes, _value
from hybridir_mteb.errors import SettingError
from hybridir_mteb.paths import embedding_store_enabled, embedding_store_limit

NO_NUMBERS = ["1_0", "٣", "nan", "inf", "-Infinity", "0x3", "true", " 3", "1e999", ""]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_only_python_takes_is_no_number(text, monkeypatch):
    for parse in (integer, float_):
        with pytest.raises(ValueError, match="is no "):
            parse(text)
    assert _value(text) == text, "a method option that is no number is text"
    monkeypatch.setenv("WORLD_SIZE", text)
    with pytest.raises(SettingError, match="WORLD_SIZE="):
        _processes()
    if text:
        monkeypatch.setenv("HYBRIDIR_EMBEDDING_STORE_GB", text)
        with pytest.raises(SettingError, match="HYBRIDIR_EMBEDDING_STORE_GB="):
            embedding_store_limit()


def test_the_store_is_on_or_off(monkeypatch):
    for word, is_on in {"": True, "1": True, "On": True, "0": False, "NO": False}.items():
        monkeypatch.setenv("HYBRIDIR_EMBEDDING_STORE", word)
        assert embedding_store_enabled() is is_on
    monkeypatch.setenv("HYBRIDIR_EMBEDDING_STORE", "\x1b[31mof" * 100)
    with pytest.raises(SettingError, match=r"HYBRIDIR_EMBEDDING_STORE='\\x1b.*expected 0 or 1"):
        embedding_store_enabled()


def test_numbers_are_read(monkeypatch):
    assert (integer("-12"), integer("+3"), float_("1e-4"), float_(".5")) == (-12, 3, 1e-4, 0.5)
    assert (_value("3"), _value("0.3"), _value("a,b")) == (3, 0.3, ("a", "b"))
    assert type(_value("3")) is int
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _processes() == 2
    monkeypatch.setenv("HYBRIDIR_EMBEDDING_STORE_GB", "2.5")
    assert embedding_store_limit() == 2_500_000_000


@pytest.mark.parametrize("option", ["--steps=1_0", "--learning-rate=nan", "--seed=٣"])
def test_an_option_that_is_no_number_is_named(option):
    from typer.testing import CliRunner

    from hybridir_mteb.cli.app import app

    done = CliRunner().invoke(app, ["train", option])
    assert done.exit_code == 2
    name, _, value = option.partition("=")
    assert name in done.output
    assert repr(value) in done.output
