"""A record is believed only if it is as it was written."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files.record import SEAL, read_record, write_record

CONTENT = {"n_passages": 1200, "name": "größer", "shape": (3, 4), "share": 0.1, "none": None}
READ = {**CONTENT, "shape": [3, 4]}


@pytest.fixture
def path(tmp_path):
    write_record(tmp_path / "record.json", CONTENT)
    return tmp_path / "record.json"


def test_a_record_is_read_as_it_was_written(path):
    assert read_record(path) == READ


def test_the_seal_does_not_depend_on_layout(path):
    held = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(dict(reversed(held.items())), indent=5))
    assert read_record(path) == READ


def every_fault(whole: bytes):
    for at in range(len(whole)):
        yield whole[:at]
        yield whole[:at] + whole[at + 1 :]
        for bit in range(8):
            yield whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]


@pytest.mark.slow
def test_no_byte_can_change_what_is_read(path):
    messages = []
    for damaged in every_fault(path.read_bytes()):
        path.write_bytes(damaged)
        try:
            assert read_record(path, old=CONTENT) == READ  # white space, say
        except DataFormatError as error:
            messages.append(str(error))
    assert len(messages) > 1000
    assert all("record.json" in message and "\n" not in message for message in messages)


def test_a_record_of_before_the_seals_has_exactly_its_keys(tmp_path):
    path = tmp_path / "end.json"
    path.write_text('{"n_passages": 12}')
    assert read_record(path, old=["n_passages"]) == {"n_passages": 12}
    with pytest.raises(DataFormatError, match=r"end\.json is damaged: it has no checksum"):
        read_record(path)
    with pytest.raises(DataFormatError, match="no checksum"):
        read_record(path, old=["n_passages", "format"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda k: k != SEAL),
        st.integers()
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_any_content_comes_back(tmp_path, content):
    path = tmp_path / "record.json"
    write_record(path, content, indent=None)
    assert read_record(path) == content


def test_what_json_cannot_hold_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path / "r.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())
