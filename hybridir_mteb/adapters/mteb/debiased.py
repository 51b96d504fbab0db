"""Debiased encoders as MTEB models: loading one with its base, and its metadata.

Imports neither torch nor mteb: it runs whenever mteb is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hybridir_mteb.adapters.mteb.load import LOCAL, base_revision, load_base, local_folder
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.encoders.trained_record import check_record, skipping
from hybridir_mteb.errors import ChecksumError, DataUnavailableError, SettingError

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from hybridir_mteb.adapters.mteb.debias import DebiasedEncoder

SEPARATOR = "+"


def debiased_name(base: str, method: str) -> str:
    """Name of a debiased encoder: ``hybridir/<base>+<method>``.

    Args:
        base: ``hybridir/<base>``, ``org/name`` of another model (then ``org__name``), or a local
            folder (then ``local__`` and the folder's name).
        method: Name of the debiaser.
    """
    folder = local_folder(base)
    owner, _, own = base.partition("/")
    if folder is not None:
        short = f"{LOCAL}__{folder.name}"
    else:
        short = own if owner == trained.OWNER else base.replace("/", "__")
    return f"{trained.OWNER}/{short}{SEPARATOR}{method}"


def check_names(base: str, methods: Iterable[str]) -> None:
    """Refuse a fit whose result would shadow a debiased encoder of another base.

    Raises:
        SettingError: Store or package has the name with another base.
    """
    folder, names = local_folder(base), {debiased_name(base, method) for method in methods}
    for encoder in trained.encoders():
        other = encoder.record["backbone"]["name"]
        if encoder.name in names and other != (base if folder is None else str(folder)):
            remedy = f"remove that one: hybridir models rm {encoder.name}"
            raise SettingError(
                f"{encoder.name} in the {encoder.place} is of another base, {other}: "
                f"{'rename the folder, or ' if folder else ''}{remedy}"
            )


def load_debiased(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    **kwargs: Any,
) -> DebiasedEncoder:
    """Loader of every debiased encoder: its statistics around its base.

    Args:
        model_name: ``hybridir/<base>+<debiaser>``.
        revision: Fingerprint of statistics and base, or its first characters.
        device: Torch device, or MTEB's device number.
        **kwargs: For the base's loader, such as ``precision`` and ``token_budget``.

    Raises:
        DataUnavailableError: The encoder, or its base, is not on this machine.
        ChecksumError: Statistics or base are not those of the record.
    """
    from hybridir_mteb.adapters.mteb.debias import DebiasedEncoder
    from hybridir_mteb.debias.fitted import read_fitted

    wanted = None if revision == NOT_HERE else revision
    encoder = trained.find(model_name, wanted)
    if encoder is None:
        base, _, method = model_name.rpartition(SEPARATOR)
        which = f" with revision {wanted}" if wanted else ""
        raise DataUnavailableError(
            f"{model_name}{which} is neither in the store nor in the package. Fit it: hybridir "
            f"debias fit --model {base} --method {method}; or take it over from another machine: "
            "hybridir models import FILE"
        )
    trained.verify(encoder)
    backbone = encoder.record["backbone"]
    base_model = load_base(
        backbone["name"], revision=backbone["model_revision"], device=device, **kwargs
    )
    found = base_revision(base_model)
    if found != backbone["revision"]:
        raise ChecksumError(
            f"{model_name} was fitted on {backbone['name']} with the revision "
            f"{backbone['revision']}, but the one here has {found}: fit it again: hybridir debias "
            f"fit --model {backbone['name']} --method {encoder.record['debiaser']['method']}"
        )
    return DebiasedEncoder(base_model, read_fitted(encoder.path), revision=encoder.fingerprint)


def debiased_metas(
    encoders: Iterable[trained.StoredEncoder],
    known: Mapping[str, ModelMeta],
    debiasers: Iterable[str] = (),
    report: Callable[[str], None] | None = None,
) -> list[ModelMeta]:
    """MTEB metadata of debiased encoders: those of their bases, with what is changed.

    Args:
        encoders: Debiased encoders.
        known: Metadata of possible bases by name, besides MTEB's own.
        debiasers: Names of all; each makes a name of every base on this machine, and loading one
            that has not been fitted says how to fit it.
        report: Told of encoders whose record gives no metadata, which are skipped.
    """
    from mteb.models.model_implementations import MODEL_REGISTRY

    metas: dict[str, ModelMeta] = {}
    # A base may be debiased itself: fewer separators come first.
    for encoder in sorted(encoders, key=lambda e: (e.name.count(SEPARATOR), e.name)):
        with skipping(encoder, report):
            check_record(encoder.record, encoder.path)
            base = encoder.record["backbone"]["name"]
            template = metas.get(base) or known.get(base) or MODEL_REGISTRY.get(base)
            metas[encoder.name] = _meta_of(encoder, template)
    for base, meta in known.items():
        if getattr(meta, "revision", NOT_HERE) == NOT_HERE or not base.startswith(
            f"{trained.OWNER}/"
        ):
            continue
        for method in debiasers:
            name = f"{base}{SEPARATOR}{method}"
            if name not in metas:
                metas[name] = meta.model_copy(update={"name": name, "adapted_from": base, **_UNFIT})
    return list(metas.values())


_UNFIT: Mapping[str, Any] = {
    "revision": NOT_HERE,
    "loader": load_debiased,
    "loader_kwargs": {},
}


def _meta_of(encoder: trained.StoredEncoder, base: ModelMeta | None) -> ModelMeta:
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    from hybridir_mteb.adapters.mteb.metas import trained_on

    record = encoder.record
    template = base or ModelMeta.create_empty(
        {
            "n_parameters": record["parameters"],
            "similarity_fn_name": record["similarity"] and ScoringFunction(record["similarity"]),
            "framework": ["PyTorch"],
        }
    )
    return template.model_copy(
        update={
            "name": encoder.name,
            "revision": encoder.fingerprint,
            "loader": load_debiased,
            "loader_kwargs": {},
            "release_date": str(record["created"])[:10],
            "embed_dim": record["dimension"],
            "adapted_from": None if base is None else str(base.name),
            "training_datasets": trained_on(encoder, template.training_datasets),
        }
    )
