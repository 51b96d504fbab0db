"""Fitting debiasers on what MTEB's encoders, or sentence-transformers models, make of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mteb
import numpy as np
from sentence_transformers import SentenceTransformer

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, module_of, of_mteb
from hybridir_mteb.adapters.mteb.load import (
    LOCAL,
    SEPARATOR,
    base_revision,
    check_base,
    load_base,
    local_folder,
)
from hybridir_mteb.adapters.mteb.models import check_encoder, settled
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.debias.fit import checked_options, fit
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.debias.make import keep, own_options, provenance_of
from hybridir_mteb.debias.text import FitText, check_text, make_text
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.files.room import check_folder
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.names import check_encoder_name
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.ranking.arrays import FloatArray

# Text that statistics are estimated on belongs to no task. It is encoded with the prompts of a
# retrieval task that ships with the package: a model's own prompts for retrieval.
FITTING_TASK = "PocketQARMultilingualRetrieval"


@dataclass(frozen=True)
class FitRequest:
    """Which debiasers to fit on which model.

    Attributes:
        base: A model that MTEB knows, a folder of a sentence-transformers model, or a name on the
            hub.
        methods: Names of debiasers.
        options: Options; each goes to the methods that have it.
        precision: For the base's loader; None does not pass it.
        device: Torch device.
        allow_leaks: Fit on text of evaluation sets; written into record and metadata.
    """

    base: str
    methods: Sequence[str]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    precision: str | None = None
    device: str | None = None
    allow_leaks: bool = False


def make_debiased(asked: FitRequest, text: FitText) -> list[trained.StoredEncoder]:
    """Fit debiasers on a model's embeddings and put the debiased encoders into the store.

    The text is encoded once for all methods, each text in both roles; a run that was killed goes
    on from what the embedding store has.

    Raises:
        UnknownNameError: No such debiaser.
        SettingError: An option that none of the methods has, text that is not parallel for one
            needs it, a model that cannot be debiased, or a name that another base has.
        PluginError: A debiaser fails; then nothing is stored.
        LeakError: The text occurs in an evaluation set.
        DataUnavailableError: The model cannot be had.
    """
    register()  # names are ours, too, and the autoload hook may be off
    debiasers = [installed_plugins().debiasers[method] for method in asked.methods]
    options = own_options(debiasers, asked.options, text)
    check_base(asked.base)
    check_names(asked.base, asked.methods)
    check_folder(paths.model_store_dir(), paths.MODEL_STORE_VARIABLE)
    known, leaks = check_text(text, allow=asked.allow_leaks)
    chosen = {"precision": asked.precision} if asked.precision else {}
    model = load_base(asked.base, device=asked.device, **chosen)
    check_encoder(model)
    embeddings = embed_for_fitting(model, text.lines)
    provenance = provenance_of(text, known, leaks, settled(asked.precision, model))
    record = {**_base_record(asked.base, model), **provenance}
    all_fitted = [
        fit(debiaser, embeddings, parallel=text.parallel, options=own)
        for debiaser, own in zip(debiasers, options, strict=True)
    ]
    unknown = model.mteb_model_meta.training_datasets is None
    return [
        keep(debiased_name(asked.base, one.debiaser.name), one, record, unknown_data=unknown)
        for one in all_fitted
    ]


def _base_record(base: str, model: Any) -> dict[str, Any]:
    """The base, so that it can be loaded again and told from others."""
    meta, module, folder = model.mteb_model_meta, module_of(model), local_folder(base)
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
        "similarity": getattr(meta.similarity_fn_name, "value", None),
    }


def debiased_name(base: str, method: str) -> str:
    """Name of a debiased encoder: ``hybridir/<base>+<method>``.

    Args:
        base: ``hybridir/<base>``, ``org/name`` of another model (then ``org__name``), or a local
            folder (then ``local__`` and the folder's name).
        method: Name of the debiaser.
    """
    folder = local_folder(base)
    short = base.removeprefix(f"{trained.OWNER}/").replace("/", "__")
    if folder is not None:
        short = f"{LOCAL}__{folder.name}"
    return f"{trained.OWNER}/{short}{SEPARATOR}{method}"


def check_names(base: str, methods: Iterable[str]) -> None:
    """Refuse a fit whose result would shadow a debiased encoder of another base.

    Raises:
        SettingError: Store or package has the name with another base, or it is malformed.
    """
    folder = local_folder(base)
    names = {check_encoder_name(debiased_name(base, method)) for method in methods}
    for encoder in trained.encoders():
        other = encoder.record["backbone"].get("name")
        if encoder.name in names and other != (base if folder is None else str(folder)):
            remedy = f"remove that one: hybridir models rm {encoder.name}"
            raise SettingError(
                f"{encoder.name} in the {encoder.place} is of another base, {other}: "
                f"{'rename the folder, or ' if folder else ''}{remedy}"
            )


def embed_for_fitting(
    model: Any, texts: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, FloatArray]]:
    """Embeddings of the same texts in both roles, through memory and store as in evaluation.

    Args:
        model: An MTEB encoder.
        texts: Language -> texts.

    Returns:
        Role -> language -> (n_texts, dimension).
    """
    register()  # the task is ours, and the autoload hook may be off
    metadata = mteb.get_task(FITTING_TASK).metadata
    call = EncodeCall(metadata, "test", "en", {"batch_size": 32}, label="statistics")
    encoder = of_mteb(model, call)
    codes = [code for code, lines in texts.items() for _ in lines]
    flat = [line for lines in texts.values() for line in lines]
    places = {code: [at for at, other in enumerate(codes) if other == code] for code in texts}
    roles: tuple[Role, ...] = ("query", "document")
    matrices = {role: encoder.embed(flat, role, codes).matrix for role in roles}
    return {role: {c: of[at] for c, at in places.items()} for role, of in matrices.items()}


def fit_debiaser(
    model: Any,
    texts_by_language: Mapping[str, Iterable[str]],
    method: str,
    **options: OptionValue,
) -> FittedDebiaser:
    """Fit a debiaser on texts of your own. They must be in no evaluation set; nobody checks.

    Args:
        model: A sentence-transformers model, or an MTEB encoder.
        texts_by_language: ISO 639-1 code -> texts. Equally many in every language count as
            parallel: text i is the same sentence in all.
        method: Name of a debiaser.
        **options: Of the debiaser; ``"auto"`` where held-out lines are to choose.

    Raises:
        UnknownNameError: No such debiaser.
        SettingError: Fewer than two languages or texts, one text instead of several, or an option
            that makes no sense.
        PluginError: The debiaser fails.
        EmbeddingError: The model gives NaN or infinity.
    """
    debiaser = installed_plugins().debiasers[method]
    for code, given in texts_by_language.items():
        if isinstance(given, str):
            raise SettingError(f"texts in {quoted(code)}: expected a list of texts, got one text")
    texts = {code: list(given) for code, given in texts_by_language.items()}
    parallel = len({len(lines) for lines in texts.values()}) == 1
    text = make_text("texts_by_language", texts, parallel=parallel)
    checked_options(debiaser, options, parallel=parallel, lines=text.fewest)
    if isinstance(model, SentenceTransformer):
        encodes = {"query": model.encode_query, "document": model.encode_document}
        embeddings = {
            role: {c: np.asarray(encode(list(of)), np.float32) for c, of in text.lines.items()}
            for role, encode in encodes.items()
        }
    else:
        check_encoder(model)
        embeddings = embed_for_fitting(model, text.lines)
    return fit(debiaser, embeddings, parallel=parallel, options=options)
