"""Research code: members of a comparison, each trained, measured and kept as a file.

A comparison takes longer than a machine is lent, and weights are not committed. So what was
measured of an encoder lies in the repository, and is used again wherever recipe, data and code are
the same.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from debiased import DebiasedJob
from embedder import code_hash, fingerprint
from measured import CODE, Job, Scores
from provenance import RESULTS, provenance
from side_by_side import on_every_core
from training_runs import Run, data_of

from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.files import replacing

PLACE = RESULTS / "members"
BASE = "base"
DECIDING = (*CODE, "hybridir_mteb/training/**/*.py", "docs/experiments/members.py")
DIGITS = 4  # of the value of one question: files are committed, and more say nothing


@dataclass(frozen=True)
class Room:
    """What members are measured on.

    Attributes:
        title: Its name in tables.
        collection: Name of the collection.
        languages: Of the collection.
        debiased: Whether debiasers are measured, too; they have statistics of known languages.
    """

    title: str
    collection: str
    languages: tuple[str, ...]
    debiased: bool = True


@dataclass(frozen=True)
class Member:
    """One trained encoder, or the untrained backbone.

    Attributes:
        backbone: Its name.
        run: How the encoder is trained; None is the backbone itself.
        rooms: What it is measured on.
        debiasers: Put behind it one after the other.
        fitted_in: Languages of the text that debiasers are fitted on.
        precision: Arithmetic of the evaluation.
        tested: Measures of which the value of each question is kept; of others the mean alone.
        command: What makes the member, for its record.
    """

    backbone: str
    run: Run | None
    rooms: tuple[Room, ...]
    debiasers: tuple[str, ...]
    fitted_in: tuple[str, ...]
    precision: Precision
    tested: tuple[str, ...]
    command: str

    @property
    def method(self) -> str:
        """Its name in tables."""
        return BASE if self.run is None else self.run.method

    @property
    def seed(self) -> int:
        """Of the run."""
        return 0 if self.run is None else self.run.seed

    @property
    def path(self) -> Path:
        """The member's file."""
        return PLACE / self.backbone / f"{self.method}-{self.seed}.json.xz"

    def identity(self) -> str:
        """Digest of all that decides its values, but for the machine."""
        trained: list[Any] = [fingerprint(self.backbone, None)]
        if self.run is not None:
            trained += [self.run.wanted.model_dump(mode="json"), data_of(self.run.wanted)]
        asked = [[asdict(one) for one in self.rooms], self.debiasers, self.fitted_in, self.tested]
        decides = [code_hash(DECIDING), self.precision.value, *trained, *asked]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:40]

    def kept(self) -> dict[str, Any] | None:
        """What its file holds, if that is of this recipe, data and code."""
        if not self.path.is_file():
            return None
        found: dict[str, Any] = json.loads(lzma.decompress(self.path.read_bytes()))
        if found["identity"] != self.identity():
            return None
        scores = {title: _unpacked(packed) for title, packed in found["scores"].items()}
        return {**found, "scores": scores}

    def made(self) -> dict[str, Any]:
        """What its file holds; trained and measured where there is none."""
        if (found := self.kept()) is not None:
            return found
        record: dict[str, Any] = {"identity": self.identity(), "made_by": provenance(self.command)}
        folder = None
        if self.run is not None:
            self.run.train()
            encoder = self.run.found()
            folder = encoder.path
            record["command"] = " ".join(self.run.command)
            record["selection"] = encoder.record["selection"]
        record["fingerprint"] = fingerprint(self.backbone, folder)
        record["scores"] = {
            room.title: _packed(
                {name: job.scores() for name, job in self._jobs(room, folder)}, self.tested
            )
            for room in self.rooms
        }
        with replacing(self.path) as temporary:
            temporary.write_bytes(lzma.compress(json.dumps(record).encode()))
        print(self.path, flush=True)
        kept = self.kept()
        assert kept is not None
        return kept

    def _jobs(self, room: Room, folder: Path | None) -> Iterator[tuple[str, Job]]:
        """Debiaser, none first, and how it is measured."""
        of = (self.backbone, folder, room.collection, room.languages, self.precision)
        yield "", Job(*of)
        if room.debiased:
            for name in self.debiasers:
                yield name, DebiasedJob(*of, name, self.fitted_in)


def _packed(scores: Mapping[str, Scores], tested: Sequence[str]) -> dict[str, Any]:
    """Ids of the questions, and by debiaser means and values in their order; None is undefined."""
    columns = {name: {key: of["questions"][key] for key in tested} for name, of in scores.items()}
    ids = sorted({one for of in columns.values() for values in of.values() for one in values})
    return {
        "ids": ids,
        "of": {
            name: {
                "means": scores[name]["means"],
                "values": {key: [_short(of.get(one)) for one in ids] for key, of in by.items()},
            }
            for name, by in columns.items()
        },
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _unpacked(packed: Mapping[str, Any]) -> dict[str, Scores]:
    """Debiaser -> scores, as they were before they were packed."""
    return {
        name: {
            "means": of["means"],
            "questions": {
                key: {
                    one: value
                    for one, value in zip(packed["ids"], column, strict=True)
                    if value is not None
                }
                for key, column in of["values"].items()
            },
        }
        for name, of in packed["of"].items()
    }


def make_all(members: Sequence[Member]) -> None:
    """All members, as many at a time as there are cores; one that fails does not stop the others.

    Raises:
        SystemExit: Some failed; the message has what they said.
    """
    failed = [said for said in on_every_core(_attempt, members) if said]
    if failed:
        sys.exit("\n".join(failed))


def _attempt(member: Member) -> str | None:
    """Make a member; what went wrong, if anything did."""
    try:
        member.made()
    except Exception as error:  # noqa: BLE001 -- said at the end, whatever it is
        return f"{member.backbone} {member.method}, seed {member.seed}: {error!r}"
    return None
