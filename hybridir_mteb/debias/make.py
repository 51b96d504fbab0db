"""From a model and text to debiased encoders in the store, with their provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridir_mteb.adapters.mteb.debias import check_encoder, embed_for_fitting
from hybridir_mteb.adapters.mteb.debiased import check_names, debiased_name
from hybridir_mteb.adapters.mteb.embed import module_of
from hybridir_mteb.adapters.mteb.load import base_revision, check_base, load_base, local_folder
from hybridir_mteb.debias.fit import check_parallel, chosen_options, fit
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.debias.text import FitText, check_text
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.card import card, machine, versions, write_record
from hybridir_mteb.errors import SettingError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.specs import Debiaser, OptionValue
from hybridir_mteb.training.leak import EvaluationTexts, Leak, leak_record

LIBRARIES = ("mteb", "sentence-transformers", "transformers", "torch", "numpy")


def make_debiased(
    base: str,
    methods: Sequence[str],
    text: FitText,
    *,
    options: Mapping[str, OptionValue] | None = None,
    precision: str | None = None,
    device: str | None = None,
    allow_leaks: bool = False,
) -> list[trained.StoredEncoder]:
    """Fit debiasers on a model's embeddings and put the debiased encoders into the store.

    The text is encoded once for all methods, each text in both roles; a run that was killed goes
    on from what the embedding store has.

    Args:
        base: A model that MTEB knows, a folder of a sentence-transformers model, or a name on the
            hub.
        methods: Names of debiasers.
        text: What to fit on.
        options: Options; each goes to the methods that have it.
        precision: For the base's loader; None does not pass it.
        device: Torch device.
        allow_leaks: Fit on text of evaluation sets; written into record and metadata.

    Raises:
        UnknownNameError: No such debiaser.
        SettingError: An option that none of the methods has, text that is not parallel for one
            needs it, a model that cannot be debiased, or a name that another base has.
        PluginError: A debiaser fails; then nothing is stored.
        LeakError: The text occurs in an evaluation set.
        DataUnavailableError: The model cannot be had.
    """
    debiasers = [installed_plugins().debiasers[method] for method in methods]
    chosen = _own_options(debiasers, options or {}, parallel=text.parallel)
    check_base(base)
    check_names(base, methods)
    known, leaks = check_text(text, allow=allow_leaks)
    model = load_base(base, device=device, **({"precision": precision} if precision else {}))
    check_encoder(model)
    embeddings = embed_for_fitting(model, text.lines)
    provenance = {
        **_base_record(base, model),
        **_text_record(text, known, leaks),
        "machine": {**machine(), "precision": precision or "the model's own"},
        "versions": versions(LIBRARIES),
    }
    all_fitted = [
        fit(debiaser, embeddings, parallel=text.parallel, options=own)
        for debiaser, own in zip(debiasers, chosen, strict=True)
    ]
    unknown_data = model.mteb_model_meta.training_datasets is None
    return [_keep(base, fitted, provenance, unknown_data=unknown_data) for fitted in all_fitted]


def _own_options(
    debiasers: Sequence[Debiaser], given: Mapping[str, OptionValue], *, parallel: bool
) -> list[dict[str, OptionValue]]:
    """The options of each debiaser; everything that can be checked before encoding is."""
    unread = sorted(set(given) - {name for debiaser in debiasers for name in debiaser.options})
    if unread:
        have = "; ".join(f"{d.name} has {', '.join(d.options) or 'none'}" for d in debiasers)
        raise SettingError(f"no option {', '.join(unread)}: {have}")
    chosen = [{k: v for k, v in given.items() if k in d.options} for d in debiasers]
    for debiaser, own in zip(debiasers, chosen, strict=True):
        chosen_options(debiaser, own)
        check_parallel(debiaser, parallel)
    return chosen


def _keep(
    base: str, fitted: FittedDebiaser, provenance: dict[str, Any], *, unknown_data: bool
) -> trained.StoredEncoder:
    name = debiased_name(base, fitted.debiaser.name)
    with trained.keep(name) as place:
        _write(place.folder, name, fitted, provenance, unknown_data=unknown_data)
    return place.kept


def _base_record(base: str, model: Any) -> dict[str, Any]:
    """The base, so that it can be loaded again and told from others."""
    meta, module, folder = model.mteb_model_meta, module_of(model), local_folder(base)
    similarity = getattr(meta.similarity_fn_name, "value", None)
    parameters = meta.n_parameters
    if module is not None and parameters is None:
        parameters = sum(parameter.numel() for parameter in module.parameters())
    return {
        "backbone": {
            "name": base if folder is None else str(folder),
            "revision": base_revision(model),
            "model_revision": meta.revision,
        },
        "parameters": parameters,
        "similarity": similarity,
    }


def _text_record(text: FitText, known: EvaluationTexts, leaks: Sequence[Leak]) -> dict[str, Any]:
    return {
        "data": [
            {
                "source": text.source,
                "origin": text.source,
                "lines": {code: len(lines) for code, lines in text.lines.items()},
                "parallel": text.parallel,
                "sha256": text.sha256(),
            }
        ],
        "leak_check": leak_record(known.checked, known.not_at_hand, leaks),
    }


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


def _write(
    folder: Path,
    name: str,
    fitted: FittedDebiaser,
    provenance: dict[str, Any],
    *,
    unknown_data: bool,
) -> None:
    """Statistics, record and card."""
    fitted.save(folder)
    (text,) = provenance["data"]
    fingerprint = trained.weights_fingerprint(folder, provenance["backbone"]["revision"])
    same = (e for e in trained.encoders() if (e.name, e.fingerprint) == (name, fingerprint))
    record = {
        "format": trained.FORMAT,
        "name": name,
        "fingerprint": fingerprint,
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
        },
        **provenance,
        "leak_check": _with_earlier_leaks(provenance["leak_check"], same),
    }
    write_record(folder, record, debiased_card(record, fitted.debiaser, unknown_data=unknown_data))


def _zero_shot(checks: dict[str, Any], *, unknown_data: bool) -> list[str]:
    """What the card says of evaluation data: no more than was compared."""
    leaks, checked, missing = (checks[k] for k in ("allowed_leaks", "checked", "not_at_hand"))
    compared = ", ".join(checked) or "nothing"
    if leaks or checks["leaked_sets"]:
        lines = [f"- NOT zero-shot: {len(leaks)} lines occur in evaluation sets, which was allowed"]
    elif checked and not missing:
        lines = [f"- Zero-shot: compared with {compared}"]
    else:
        lines = [f"- No evaluation data found in the text, compared with {compared}"]
    if missing:
        lines.append(f"- Not compared with: {', '.join(missing)}, which were not at hand")
    if unknown_data:
        lines.append("- What the base itself was trained on is unknown: it may be evaluation data")
    return lines


def debiased_card(record: dict[str, Any], debiaser: Debiaser, *, unknown_data: bool) -> str:
    """The card in Markdown with the hub's metadata on top.

    Args:
        record: Record of the debiased encoder.
        debiaser: Its method.
        unknown_data: Whether MTEB does not know what the base was trained on.
    """
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
        "",
    ]
    summary = (
        f"`{base['name']}`, training-free debiasing by `{debiaser.name}`"
        f"{f' ({options})' if options else ''}. {debiaser.summary} {debiaser.source}."
    )
    return card(record, base["name"], summary, facts, "it")
