"""The packaged snapshot: small, sealed, and refused where it is damaged."""

import shutil

import pytest
from toys.scaling import a_family

from hybridir_mteb.errors import ChecksumError, DataFormatError, DataUnavailableError
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.scaling.snapshot import FOLDER, RECORD, SCORES, read_snapshot, write_snapshot

ABOUT = {"source": "made up", "commit": "0123456789", "date": "2026-01-01", "licence": "CC0-1.0"}


def test_it_says_where_it_comes_from_and_fits_the_package(published):
    record = read_record(FOLDER / RECORD)
    assert record["commit"] == "f4cc6c8b365a3c779dbc708d6affe0b0355b2ddf"
    assert (record["date"], record["licence"]) == ("2026-08-20", "CC0-1.0")
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000
    assert len({cell.model for cell in published.cells}) > 350
    assert sum(facts.parameters is not None for facts in published.facts.values()) > 300
    (origin,) = published.origins
    assert "commit f4cc6c8 of 2026-08-20, licence CC0-1.0" in origin


def test_it_is_read_as_it_was_written_and_the_same_bytes_twice(tmp_path):
    scores = a_family()
    for name in ("one", "two"):
        write_snapshot(scores, ABOUT, tmp_path / name)
    for file in (SCORES, RECORD):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    found = read_snapshot(tmp_path / "one")
    assert found.facts == scores.facts
    order = [(c.model, c.subset) for c in found.cells]
    assert order == sorted(order)
    assert len(order) == len(scores.cells)
    assert {c.model for c in found.cells} == {c.model for c in scores.cells}


def test_a_damaged_one_is_refused_in_one_line(tmp_path):
    def broken(name, change):
        folder = tmp_path / name
        write_snapshot(a_family(), ABOUT, folder)
        change(folder)
        with pytest.raises((ChecksumError, DataFormatError, DataUnavailableError)) as caught:
            read_snapshot(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def swap(folder):
        write_snapshot(a_family(a=60), ABOUT, folder / "other")
        shutil.move(folder / "other" / SCORES, folder / SCORES)

    def forget(folder):
        record = read_record(folder / RECORD)
        del record["models"]
        write_record(folder / RECORD, record)

    assert "sha256 is not the recorded one" in broken("swapped", swap)
    assert "no record of a snapshot" in broken("forgotten", forget)
    assert "no such file" in broken("gone", lambda folder: (folder / SCORES).unlink())
    cut = broken("cut", lambda f: (f / SCORES).write_bytes((f / SCORES).read_bytes()[:-9]))
    assert "cut off" in cut
