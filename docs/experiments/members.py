"""Research code: members of a comparison, each trained, measured and kept as a file.

A comparison takes longer than a machine is lent, and weights are not committed. So what was
measured of an encoder lies in the repository, and is used again wherever recipe, data and code are
the same.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
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
DIGITS = 5  # of the value of one question


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
        return PLACE / self.backbone / f"{self.method}-{self.seed}.json.gz"

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
        found: dict[str, Any] = json.loads(gzip.decompress(self.path.read_bytes()))
        return found if found["identity"] == self.identity() else None

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
            room.title: {name: self._short(job.scores()) for name, job in self._jobs(room, folder)}
            for room in self.rooms
        }
        packed = gzip.compress(json.dumps(record).encode(), mtime=0)
        with replacing(self.path) as temporary:
            temporary.write_bytes(packed)
        print(f"{self.path} {len(packed) // 1000} kB", flush=True)
        return record

    def _jobs(self, room: Room, folder: Path | None) -> Iterator[tuple[str, Job]]:
        """Debiaser, none first, and how it is measured."""
        of = (self.backbone, folder, room.collection, room.languages, self.precision)
        yield "", Job(*of)
        if room.debiased:
            for name in self.debiasers:
                yield name, DebiasedJob(*of, name, self.fitted_in)

    def _short(self, scores: Scores) -> Scores:
        """With few digits of a question's value: files are committed, and more say nothing."""
        questions = {
            measure: {
                name: float(f"{value:.{DIGITS}g}")
                for name, value in scores["questions"][measure].items()
            }
            for measure in self.tested
        }
        return {"means": scores["means"], "questions": questions}


def make_all(members: Sequence[Member]) -> list[dict[str, Any]]:
    """All members, as many at a time as there are cores, in order."""
    return on_every_core(Member.made, members)
