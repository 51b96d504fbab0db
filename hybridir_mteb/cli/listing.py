"""Rows of ``hybridir tasks`` and ``hybridir models list``, without mteb where it has no say.

Built-in parts, encoders of the store and collections that were added tell all by themselves. With
other plugins, mteb is asked what it took.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hybridir_mteb.cli.console import Row, rows_of
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.trained import NOT_HERE, OWNER, StoredEncoder
from hybridir_mteb.encoders.trained_record import check_record, skipping
from hybridir_mteb.installed import installed_parts
from hybridir_mteb.plugins.manager import DISTRIBUTION
from hybridir_mteb.plugins.registry import Plugins
from hybridir_mteb.plugins.specs import CollectionSpec

TASK_COLUMNS = ("name", "subsets", "split", "main score", "licence", "plugin")
MODEL_COLUMNS = ("name", "parameters", "revision", "from")
PINNED = "mteb's pin"  # of a backbone on the hub, whose commit mteb has
_BASES = {f"{OWNER}/{one.name}-base": one for one in BACKBONES if one.hub_id}
_POCKET = f"{OWNER}/pocket-base"


def task_rows() -> Iterator[Row]:
    """Every task: its name, number of subsets, split, main score, licence and plugin."""
    parts = installed_parts("tasks")
    if parts is not None:
        owner = parts.collections.owner
        return rows_of(parts.collections.items(), lambda name, spec: _tasks_of(spec, owner(name)))
    from hybridir_mteb.adapters.mteb.register import register

    registry = register().tasks
    return rows_of(
        registry.items(),
        lambda name, task: [
            (
                name,
                len(task.metadata.hf_subsets),
                ", ".join(task.metadata.eval_splits),
                task.metadata.main_score,
                task.metadata.license,
                registry.owner(name),
            )
        ],
    )


def _tasks_of(spec: CollectionSpec, owner: str) -> list[Row]:
    return [
        (
            spec.task_name(setting, context),
            len(spec.subsets(setting)),
            spec.split,
            spec.main_score,
            spec.card.license,
            owner,
        )
        for context in spec.contexts
        for setting in spec.settings
    ]


def model_rows(trainable: bool) -> Iterator[Row]:
    """Every encoder: name, size, revision, where from; trainable ones may have no weights here."""
    parts = None if trainable else installed_parts("backbones")
    if parts is not None:
        return iter(_models_here(parts))
    from hybridir_mteb.adapters.mteb.register import register

    registry = register().models
    place = {(e.name, e.fingerprint): e.place for e in trained.encoders()}
    return rows_of(
        ((name, meta) for name, meta in registry.items() if trainable or meta.revision != NOT_HERE),
        lambda name, meta: [
            (
                name,
                _millions(meta.n_parameters),
                _revision(name, str(meta.revision)),
                place.get((name, meta.revision)) or registry.owner(name),
            )
        ],
    )


def _models_here(parts: Plugins) -> list[Row]:
    """Encoders with weights here, or on the hub at a commit that mteb pins, in mteb's order."""
    here: dict[str, StoredEncoder] = {}
    for encoder in trained.encoders(parts.report):
        here.setdefault(encoder.name, encoder)
    own = [one for one in here.values() if "debiaser" not in one.record]
    debiased = [one for one in here.values() if "debiaser" in one.record]
    debiased.sort(key=lambda one: (one.name.count("+"), one.name))
    rows: list[Row] = [_base_row(_POCKET, f"{DISTRIBUTION}:models")]
    rows += [row for one in own for row in _stored_row(one, parts)]
    rows += [
        _base_row(name, f"{DISTRIBUTION}:encoders")
        for name, backbone in _BASES.items()
        if name != _POCKET and (backbone.sha256 or not backbone.decoder)  # else mteb has no pin
    ]
    return rows + [row for one in debiased for row in _stored_row(one, parts)]


def _base_row(name: str, owner: str) -> Row:
    return (name, _millions(_BASES[name].parameters), _revision(name, _BASES[name].sha256), owner)


def _stored_row(encoder: StoredEncoder, parts: Plugins) -> list[Row]:
    """The row of an encoder of the store or the package; none if its record cannot be used."""
    rows: list[Row] = []
    with skipping(encoder, parts.report):
        check_record(encoder.record, encoder.path)
        if "debiaser" in encoder.record or encoder.record["backbone"]["name"] in parts.backbones:
            size = _millions(encoder.record["parameters"])
            rows.append((encoder.name, size, encoder.fingerprint[:12], encoder.place))
    return rows


def _millions(parameters: Any) -> str:
    return f"{parameters / 1e6:.0f} M" if parameters else "?"


def _revision(name: str, revision: str | None) -> str:
    base = _BASES.get(name)
    if base is not None and not base.sha256 and revision != NOT_HERE:
        return PINNED
    return "not on this machine" if revision == NOT_HERE else str(revision)[:12]
