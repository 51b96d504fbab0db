"""What was measured of an encoder of a comparison is kept as a file, and used where it fits."""

import json
import lzma
from dataclasses import replace
from types import SimpleNamespace

import compare_methods
import debiased
import measured
import members
import pytest
from compare_methods import REFERENCE, TESTED
from training_runs import Run


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """Trains nothing and measures nothing; what would have been is listed."""
    done: list[str] = []
    question = {f"q{at}": 0.123456789 + at for at in range(4)}

    def scores(job: measured.Job) -> dict:
        done.append(f"{job.folder} {job.collection} {getattr(job, 'debiaser', '')}".strip())
        questions = dict.fromkeys((*TESTED, "mono.ndcg_at_10"), question)
        questions["cross.map"] = {
            "q2": 0.25,
            "q3": 0.5,
        }  # no others have one
        return {"means": dict.fromkeys(TESTED, 0.5), "questions": questions}

    def train(run: Run) -> None:
        done.append(f"train {run.method} {run.seed}")

    monkeypatch.setattr(members, "PLACE", tmp_path / "members")
    monkeypatch.setattr(measured.Job, "scores", scores)
    monkeypatch.setattr(Run, "train", train)
    selection = {"encoder": {"criterion": 0.8}, "backbone": {"criterion": 0.7}}
    encoder = SimpleNamespace(path="encoder", record={"selection": selection})
    monkeypatch.setattr(Run, "found", lambda run: encoder)
    print_of = members.fingerprint
    monkeypatch.setattr(
        members, "fingerprint", lambda name, folder: folder or print_of(name, folder)
    )
    return done


def some(count: int) -> list[members.Member]:
    return compare_methods.members("pocket")[:count]


def test_a_member_is_made_once_and_kept_with_few_digits(campaign):
    base, mono, _, hybrid, *_ = some(4)
    first = hybrid.made()
    assert campaign[0] == "train hybrid 0"
    assert len(campaign) == 1 + 3 * (1 + len(compare_methods.DEBIASERS))
    assert hybrid.made() == hybrid.kept() == first
    assert len(campaign) == 1 + 3 * (1 + len(compare_methods.DEBIASERS))
    of = first["scores"]["MLQAR"]["shift alpha=auto"]["questions"]
    assert set(of) == set(TESTED)
    assert of["multi.map"] == {"q0": 0.1235, "q1": 1.123, "q2": 2.123, "q3": 3.123}
    assert of["cross.map"] == {"q2": 0.25, "q3": 0.5}
    assert set(mono.made()["scores"]["XQuADR"]) == {""}
    assert "command" not in base.made()  # nothing is trained


def test_another_recipe_or_other_code_is_made_again(campaign, monkeypatch):
    (_, mono) = some(2)
    mono.made()
    other = replace(mono, run=replace(mono.run, settings=(("learning_rate", "1e-3"),)))
    assert other.path == mono.path
    assert other.kept() is None
    assert replace(mono, rooms=mono.rooms[:1]).kept() is None
    monkeypatch.setattr(members, "code_hash", lambda patterns: "other")
    assert mono.kept() is None
    mono.made()
    assert campaign.count("train mono 0") == 2
    assert mono.kept() is not None


def test_a_file_is_the_same_whenever_it_is_packed(campaign):
    (base,) = some(1)
    base.made()
    packed = base.path.read_bytes()
    base.path.unlink()
    base.made()
    assert base.path.read_bytes() == packed
    assert json.loads(lzma.decompress(packed))["made_by"]["command"].startswith("make compare")


def test_results_are_of_the_seeds_that_all_methods_have(campaign):
    methods = compare_methods.CAMPAIGNS["pocket"].methods
    with pytest.raises(SystemExit, match="no seed is there for all methods"):
        compare_methods.finished("pocket")
    for member in some(1 + 2 * len(methods) + 3):
        member.made()
    found = compare_methods.report("pocket")
    assert found["seeds"] == {"planned": 5, "made": 2}
    assert set(found["commands"]) == set(methods)
    of = found["collections"]["PocketQAR"]["contenders"]
    assert list(of)[: 1 + len(methods)] == [members.BASE, *methods]
    assert {len(one["seeds"]["multi.map"]) for one in of.values()} == {1, 2}
    assert len(of[f"{REFERENCE}+leace"]["seeds"]["multi.map"]) == 2
    assert len(of[f"{members.BASE}+leace"]["seeds"]["multi.map"]) == 1
    assert found["made_by"] | {"commit": ""} == found["members_made_by"][0] | {"commit": ""}


def test_one_that_fails_does_not_stop_the_others(campaign, monkeypatch):
    def train(run: Run) -> None:
        if run.method == "mono":
            raise OSError("no space")

    monkeypatch.setattr(Run, "train", train)
    monkeypatch.setattr(members, "on_every_core", lambda work, of: [work(one) for one in of])
    with pytest.raises(SystemExit, match="pocket mono, seed 0: OSError"):
        members.make_all(some(4))
    assert [member.kept() is not None for member in some(4)] == [True, False, True, True]


def test_debiased_members_have_statistics_of_the_languages_trained_in():
    (base,) = some(1)
    job = dict(base._jobs(base.rooms[0], None))["leace"]
    assert isinstance(job, debiased.DebiasedJob)
    assert job.fitted_in == base.fitted_in
