"""Research code: encoders debiased by statistics of NTREX-128, as ``hybridir debias fit`` makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embedder import Embedder, debias, embed
from measured import Job, Scores, scores_of
from per_query import values_of

from hybridir_mteb.debias.fit import fit
from hybridir_mteb.debias.text import ntrex_text
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.specs import ROLES


@dataclass(frozen=True)
class DebiasedJob(Job):
    """One debiased encoder on one collection.

    Attributes:
        debiaser: Name of the debiaser, and an option where it has not its default: "shift
            alpha=auto".
        fitted_in: Languages of the text that it is fitted on.
    """

    debiaser: str = ""
    fitted_in: tuple[str, ...] = ()

    def decides(self) -> tuple[str, ...]:
        """What decides the result, besides the code."""
        return (*super().decides(), self.debiaser, *self.fitted_in)

    def measure(self) -> Scores:
        """Values of all measures, computed."""
        embedder = self.embedder()
        collection, queries, passages = embed(self.collection, embedder, self.languages)
        debiased = debias(self.fitted(embedder), (queries, passages))
        label = f"{self.collection} ranks, {self.debiaser}"
        return scores_of(values_of(collection, *debiased, label))

    def fitted(self, embedder: Embedder) -> Any:
        """The debiaser with statistics of the encoder's own embeddings."""
        text = ntrex_text(self.fitted_in)
        vectors = {
            role: {
                code: embedder(list(lines), role, f"NTREX-128 {code} as {role}")
                for code, lines in text.lines.items()
            }
            for role in ROLES
        }
        name, _, option = self.debiaser.partition(" ")
        debiaser = installed_plugins().debiasers[name]
        options = dict([option.split("=")]) if option else {}
        return fit(debiaser, vectors, parallel=text.parallel, options=options)
