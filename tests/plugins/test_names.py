"""One pattern for each kind of name, whatever makes or reads it."""

import pytest
from toys.hostile import ESCAPES, MARKUP, TEXT

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.hub import from_hub
from hybridir_mteb.errors import PluginError, SettingError
from hybridir_mteb.plugins.names import LONGEST, PATTERNS, check_encoder_name, check_item_name

GOOD = (
    "hybridir/pocket-hybrid",
    "hybridir/xlmr-large-mono",
    "hybridir/llama3.1-70b-hybrid",
    "hybridir/pocket-base+centre",
    "hybridir/pocket-base+centre+lir",
    "hybridir/intfloat__multilingual-e5-small+centre",
    "hybridir/local__folder+shift",
    "hybridir/" + "x" * LONGEST,
)
PARTS = (
    "",
    " ",
    "a b",
    "a\tb",
    "a\n",
    "\na",
    "a\\b",
    "a/b",
    "..",
    ".",
    ".a",
    "../a",
    "a.",
    "-a",
    "+a",
    "~a",
    "$HOME",
    "a;b",
    "a*",
    "a:b",
    "a\x00",
    "a\x1b[31m",
    "a\x9b",
    "a\u202e",
    "a\u200b",
    "a\u00a0b",
    "p\u043ecket-hybrid",  # a Cyrillic o
    "cafe\u0301-mono",
    "caf\u00e9-mono",
    "\uff50ocket-hybrid",  # a wide p
    "\ud800",
    "con",
    "NUL",
    "aux.mono",
    "x" * (LONGEST + 1),
    MARKUP,
    ESCAPES,
)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_taken(name):
    assert check_encoder_name(name) == name


@pytest.mark.parametrize("part", PARTS, ids=ascii)
def test_a_bad_name_is_refused_wherever_it_is_made_or_read(part):
    name = f"hybridir/{part}"
    for check in (check_encoder_name, lambda bad: from_hub(bad, None)):
        with pytest.raises(SettingError, match="an encoder is named") as caught:
            check(name)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600
    with pytest.raises(SettingError), trained.keep(name):
        pass


@pytest.mark.parametrize("name", ["pocket-hybrid", "other/x", "Hybridir/x", 7, None, b"hybridir/x"])
def test_a_name_without_the_owner_is_refused(name):
    with pytest.raises(SettingError, match="an encoder is named"):
        check_encoder_name(name)


def test_the_name_of_the_base_is_nobodys():
    for name in ("hybridir/pocket-base", "hybridir/Pocket-BASE", "hybridir/muse-base"):
        with pytest.raises(SettingError, match="comes with this package"), trained.keep(name):
            pass


def test_every_encoder_of_the_package_has_a_good_name():
    assert [check_encoder_name(encoder.name) for encoder in trained.encoders()]


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("name", [*PARTS[1:7], *PARTS[12:], TEXT], ids=ascii)
def test_what_plugins_register_has_names_of_one_pattern(kind, name):
    if name in {"con", "NUL", "aux.mono"} or (name == "~a"):
        return
    with pytest.raises(PluginError) as caught:
        check_item_name(kind, name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_names_that_are_used_today_are_good():
    for kind, name in (
        ("model", "Cohere/Cohere-embed-v4.0 (output_dtype=int8)"),
        ("model", "org/model"),
        ("model", "hybridir/pocket-base+centre"),
        ("collection", "MIRACLSwYo"),
        ("task", "SciFact-PL"),
        ("measure", "ndcg_at_10"),
        ("training method", "hybrid"),
        ("backbone", "llama3.1-70b"),
        ("debiaser", "demo-scale"),
    ):
        assert check_item_name(kind, name) == name


def test_a_name_is_kept_as_plain_text():
    class Sly(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "\x1b"

    assert type(check_item_name("measure", Sly("map"))) is str


def test_a_pattern_takes_its_time_from_nobody():
    with pytest.raises(PluginError):
        check_item_name("model", "a/" + "a " * 90 + "\x1b")
    with pytest.raises(SettingError):
        check_encoder_name("hybridir/" + "a." * 100_000)
