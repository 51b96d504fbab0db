"""Debiased encoders enter the store, with record and card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridir_mteb.debias.fit import checked_options
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.debias.text import FitText
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.card import card, machine, versions, write_record
from hybridir_mteb.encoders.contents import digests_of, fingerprint_of
from hybridir_mteb.errors import SettingError
from hybridir_mteb.plugins.debias_specs import Debiaser
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.training.leak import EvaluationTexts, Leak, leak_record

LIBRARIES = ("mteb", "sentence-transformers", "transformers", "torch", "numpy")


def own_options(
    debiasers: Sequence[Debiaser], given: Mapping[str, OptionValue], text: FitText
) -> list[dict[str, OptionValue]]:
    """The options of each debiaser; everything that can be checked before encoding is."""
    unread = sorted(set(given) - {name for debiaser in debiasers for name in debiaser.options})
    if unread:
        have = "; ".join(f"{d.name} has {', '.join(d.options) or 'none'}" for d in debiasers)
        raise SettingError(f"no option {', '.join(unread)}: {have}")
    chosen = [{k: v for k, v in given.items() if k in d.options} for d in debiasers]
    for debiaser, own in zip(debiasers, chosen, strict=True):
        checked_options(debiaser, own, parallel=text.parallel, lines=text.fewest)
    return chosen


def provenance_of(
    text: FitText, known: EvaluationTexts, leaks: Sequence[Leak], precision: str | None
) -> dict[str, Any]:
    """What a debiased encoder was fitted on, and by what; no precision is the model's own."""
    data = {
        "source": text.source,
        "origin": text.source,
        "lines": {code: len(lines) for code, lines in text.lines.items()},
        "parallel": text.parallel,
        "sha256": text.sha256(),
    }
    return {
        "data": [data],
        "leak_check": leak_record(known.checked, known.not_at_hand, leaks),
        "machine": {**machine(), "precision": precision or "the model's own"},
        "versions": versions(LIBRARIES),
    }


def keep(
    name: str, fitted: FittedDebiaser, provenance: dict[str, Any], *, unknown_data: bool
) -> trained.StoredEncoder:
    """Put a debiased encoder into the store.

    Args:
        name: ``hybridir/<base>+<debiaser>``.
        fitted: What is applied to the base's embeddings.
        provenance: What the record says of base, text, machine and versions.
        unknown_data: Whether MTEB does not know what the base was trained on.
    """
    with trained.keep(name) as place:
        fitted.save(place.folder)
        record = _record(place.folder, name, fitted, provenance)
        text = debiased_card(record, fitted.debiaser, unknown_data=unknown_data)
        write_record(place.folder, record, text)
    return place.kept


def _with_earlier_leaks(
    checks: dict[str, Any], earlier: Iterable[trained.StoredEncoder]
) -> dict[str, Any]:
    """Leaks stay known, even if the set in which they were found is not at hand any more."""
    found = [checks, *(encoder.record.get("leak_check", {}) for encoder in earlier)]
    merged = {
        key: list(dict.fromkeys(item for part in found for item in part.get(key, ())))
        for key in ("allowed_leaks", "leaked_sets")
    }
    return {**checks, **merged, "leaked_sets": sorted(merged["leaked_sets"])}


def _record(
    folder: Path, name: str, fitted: FittedDebiaser, provenance: dict[str, Any]
) -> dict[str, Any]:
    """What is said of statistics that lie in a folder."""
    (text,) = provenance["data"]
    files = digests_of(folder)
    fingerprint = fingerprint_of(files, provenance["backbone"]["revision"])
    same = (e for e in trained.encoders() if (e.name, e.fingerprint) == (name, fingerprint))
    return {
        "format": trained.FORMAT,
        "name": name,
        "fingerprint": fingerprint,
        "files": files,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "languages": list(fitted.languages),
        "dimension": fitted.dimension,
        "debiaser": {
            "method": fitted.debiaser.name,
            "options": dict(fitted.options),
            "languages": list(fitted.languages),
            "roles": sorted(fitted.debiaser.roles),
            "unit_length": fitted.unit_length,
            "text": {key: text[key] for key in ("source", "lines", "sha256")},
            "parallel": text["parallel"],
            "precision": provenance["machine"]["precision"],
            **({"choice": fitted.choice.as_dict()} if fitted.choice else {}),
        },
        **provenance,
        "leak_check": _with_earlier_leaks(provenance["leak_check"], same),
    }


def _zero_shot(checks: dict[str, Any], *, unknown_data: bool) -> list[str]:
    """What the card says of evaluation data: no more than was compared."""
    leaks, checked, missing = (checks[k] for k in ("allowed_leaks", "checked", "not_at_hand"))
    compared = ", ".join(checked) or "nothing"
    if leaks or checks["leaked_sets"]:
        lines = [f"- NOT zero-shot: {len(leaks)} lines occur in evaluation sets, which was allowed"]
    elif checked and not missing:
        lines = [
            f"- No text that it was fitted on occurs in {compared}; what its base was trained on "
            "is its makers' to say"
        ]
    else:
        lines = [f"- No evaluation data found in the text, compared with {compared}"]
    if missing:
        lines.append(f"- Not compared with: {', '.join(missing)}, which were not at hand")
    if unknown_data:
        lines.append("- What the base itself was trained on is unknown: it may be evaluation data")
    return lines


def _choice(chosen: dict[str, Any]) -> list[str]:
    """What the card says of an option that was chosen on held-out lines."""
    option, held = chosen["option"], chosen["held_out_lines"]
    rows = [(s["value"], f"{s['map']:.4f}", f"{s['rank_distance']:.1f}") for s in chosen["scores"]]
    return [
        f"- {option}={chosen['value']} was chosen on {held} held-out lines, every "
        f"{chosen['held_out_every']}th, by how well they find their translations; then fitted on "
        f"all {chosen['refitted_on_lines']}",
        "",
        f"| {option} | mAP | rank distance |",
        "| --: | --: | --: |",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]


def debiased_card(record: dict[str, Any], debiaser: Debiaser, *, unknown_data: bool) -> str:
    """The card in Markdown with the hub's metadata on top; ``unknown_data`` as of :func:`keep`."""
    fitted, base = record["debiaser"], record["backbone"]
    options = ", ".join(f"{name}={value}" for name, value in fitted["options"].items())
    most = max(fitted["text"]["lines"].values())
    source = fitted["text"]["source"]
    facts = [
        f"- Fingerprint (MTEB's revision): `{record['fingerprint']}`",
        f"- Base: revision `{base['revision']}`",
        f"- Applied to: {' and '.join(fitted['roles'])}",
        f"- Fitted on {'parallel ' if fitted['parallel'] else ''}text in "
        f"{len(fitted['languages'])} languages, up to {most} lines each: {source}",
        *_zero_shot(record["leak_check"], unknown_data=unknown_data),
        *(_choice(fitted["choice"]) if "choice" in fitted else []),
        "",
    ]
    summary = (
        f"`{base['name']}`, training-free debiasing by `{debiaser.name}`"
        f"{f' ({options})' if options else ''}. {debiaser.summary} {debiaser.source}."
    )
    return card(record, base["name"], summary, facts, "it")
