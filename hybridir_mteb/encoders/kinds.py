"""Models that are no bi-encoders: refused by their own name before anybody averages their tokens.

sentence-transformers loads a reranker's folder as a mean over its tokens, whose scores look
plausible and mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentence_transformers.util.file_io import load_file_path

from hybridir_mteb.errors import SettingError, printable
from hybridir_mteb.files.json_text import read_json

BI_ENCODER = "SentenceTransformer"
_WHAT = {
    "CrossEncoder": "scores pairs of texts",
    "SparseEncoder": "gives sparse vectors over a vocabulary",
    "MultiVectorEncoder": "gives a vector for each token",
}
# Classes, of models and of MTEB's wrappers, and parts of module names -> kind.
_CLASSES = {
    **{name: name for name in _WHAT},
    **{f"{name}Wrapper": name for name in _WHAT},
    "MultiVectorWrapper": "MultiVectorEncoder",
    "ColBERT": "MultiVectorEncoder",
}
_PACKAGES = {
    "cross_encoder": "CrossEncoder",
    "sparse_encoder": "SparseEncoder",
    "multi_vector_encoder": "MultiVectorEncoder",
    "pylate": "MultiVectorEncoder",
}
_RERANKER, _COLBERT = "ForSequenceClassification", "HF_ColBERT"


def refuse_other_kinds(model: object) -> None:
    """Refuse a loaded model that is known to give no dense vector for each text.

    Raises:
        SettingError: A reranker, a sparse or a multi-vector model, or MTEB's wrapper of one.
    """
    classes = [cls.__name__ for cls in type(model).__mro__]
    kind = next((_CLASSES[name] for name in classes if name in _CLASSES), None)
    if kind is not None:
        raise _refusal(f"the model is of class {classes[0]}", kind)


def refuse_other_files(place: str | Path, **options: Any) -> None:
    """Refuse saved weights that are no bi-encoder's.

    Args:
        place: Folder, or hub id.
        **options: ``revision`` and ``local_files_only``, of a hub id.

    Raises:
        SettingError: A reranker, a sparse or a multi-vector model.
        DataFormatError: A damaged file of settings.
    """
    for kind, why in _other_kinds(str(place), options):
        raise _refusal(f"{printable(str(place))} holds {why}", kind)


def _refusal(what: str, kind: str) -> SettingError:
    does = f", a {kind}, which {_WHAT[kind]}" if kind in _WHAT else ""
    return SettingError(
        f"{what}{does}: a model is needed that gives one dense vector for each text, such as a "
        f"{BI_ENCODER}"
    )


def _other_kinds(place: str, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the files say that it is, other than a bi-encoder, and by what."""

    def read(name: str) -> Any:
        found = load_file_path(place, name, **options)
        return None if found is None else read_json(Path(found))

    settings, modules = read("config_sentence_transformers.json"), read("modules.json")
    kind = str(_in(settings, "model_type", BI_ENCODER))
    if kind != BI_ENCODER:
        yield _CLASSES.get(kind, kind), f"a model of type {printable(kind)}"
    if modules is None:  # then the network's own class tells
        yield from _by_network(read("config.json"), read("adapter_config.json"))
    for module in modules if isinstance(modules, list) else ():
        name = str(_in(module, "type"))
        for part in name.split("."):
            if part in _PACKAGES:
                yield _PACKAGES[part], f"the module {printable(name)}"


def _by_network(config: Any, adapter: Any) -> Iterator[tuple[str, str]]:
    found = _in(config, "architectures")
    for name in map(str, found if isinstance(found, list) else ()):
        if name.endswith(_RERANKER):
            yield "CrossEncoder", f"a {printable(name)} without modules.json"
        if name == _COLBERT:
            yield "MultiVectorEncoder", f"a {name}"
    if _in(adapter, "task_type") == "SEQ_CLS":
        yield "CrossEncoder", "an adapter of a classifier without modules.json"


def _in(settings: Any, name: str, default: Any = None) -> Any:
    return settings.get(name, default) if isinstance(settings, dict) else default
