"""Fitted debiasers: statistics, the languages that they are of, and what applies them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hybridir_mteb.debias.choice import Choice
from hybridir_mteb.debias.detect import detect, macrolanguage
from hybridir_mteb.errors import (
    DataFormatError,
    EmbeddingError,
    HybridIRError,
    PluginError,
    SettingError,
    one_line,
    quoted,
)
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.plugins.debias_specs import ROLES, Debiaser, Tensors
from hybridir_mteb.plugins.registry import Registry
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, IntArray, check_embeddings

STATISTICS = "debiaser.safetensors"
_HEADER = "hybridir"  # one key: safetensors keeps no order among several
PACKAGE = __name__.partition(".")[0]
UNKNOWN = -1
BLOCK = 1 << 16  # embeddings in float64 at a time
REAL = "buif"  # kinds of NumPy types
ROUNDING = 1e-6  # of embeddings of length 1 in float32

# One code for all texts, or one for each; None is an unknown language.
Languages = str | Sequence[str | None] | None


@dataclass(frozen=True)
class FittedDebiaser:
    """A debiaser with its statistics; call it with embeddings.

    Attributes:
        debiaser: The method.
        languages: ISO 639-1 codes that it has statistics of; positions are language numbers.
        tensors: Role -> the statistics of this role.
        options: The options that it was fitted with.
        dimension: Of the embeddings.
        unit_length: Whether the embeddings that it was fitted on have length 1; debiased ones are
            then scaled to length 1 again.
        choice: How an option was chosen, if one was; not kept in the file.
    """

    debiaser: Debiaser
    languages: tuple[str, ...]
    tensors: Mapping[str, Tensors] = field(repr=False)
    options: Mapping[str, OptionValue]
    dimension: int
    unit_length: bool
    choice: Choice | None = field(default=None, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of method, statistics and options: what the debiased embeddings depend on.

        Methods of plugins are told apart by their code, too; one that cannot be read has another
        digest in every process.
        """
        function = self.debiaser.apply
        digest = hashlib.blake2b(digest_size=16)
        head: list[Any] = [self.debiaser.name, getattr(function, "__module__", ""), self.languages]
        head += [dict(self.options), self.dimension, self.unit_length, sorted(self.debiaser.roles)]
        if str(head[1]).partition(".")[0] != PACKAGE:
            from hybridir_mteb.encoders.values import code_of  # loads torch

            head.append(code_of(function) or uuid4().hex)
        digest.update(json.dumps(head, sort_keys=True, default=repr).encode())
        for role, arrays in sorted(self.tensors.items()):
            for name, array in sorted(arrays.items()):
                digest.update(f"{role}.{name}:{array.dtype}:{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def changes(self, role: str) -> bool:
        """Whether embeddings in a role are changed at all."""
        return role in self.debiaser.roles and self.options.get(self.debiaser.scale, 1) != 0

    def needs_languages(self, role: str) -> bool:
        """Whether anything in this role depends on the text's language."""
        return self.debiaser.uses_language and self.changes(role)

    def numbers(self, languages: Languages, n_texts: int) -> IntArray:
        """(n_texts,) language numbers; -1 for unknown languages and those without statistics.

        Raises:
            SettingError: Another number of languages than of texts.
        """
        if languages is None or isinstance(languages, str):
            languages = [languages] * n_texts
        if len(languages) != n_texts:
            raise SettingError(f"{len(languages)} languages for {n_texts} texts")
        place = {code: at for at, code in enumerate(self.languages)}
        known = (place.get(macrolanguage(c), UNKNOWN) if c else UNKNOWN for c in languages)
        return np.fromiter(known, np.int64, n_texts)

    def __call__(self, vectors: FloatArray, languages: Languages, role: str) -> FloatMatrix:
        """Debiased embeddings.

        Args:
            vectors: (n, dimension) embeddings in one role.
            languages: One code for all, or one for each; None is an unknown language.
            role: ``query`` or ``document``.

        Returns:
            (n, dimension) float32.

        Raises:
            EmbeddingError: NaN, infinity, or another dimension than that of the statistics.
            PluginError: The debiaser fails.
            SettingError: An unknown role, or another number of languages than of embeddings.
        """
        return self.apply(vectors, self.numbers(languages, len(vectors)), role)

    def apply(self, vectors: FloatArray, numbers: IntArray, role: str) -> FloatMatrix:
        """Like a call, with (n,) language numbers."""
        if role not in ROLES:
            raise SettingError(f"role {quoted(role)}: expected one of {', '.join(ROLES)}")
        check_embeddings(vectors, f"{role} text", self.dimension)
        if not self.changes(role):
            return np.asarray(vectors, np.float32)
        out = np.empty(vectors.shape, np.float32)
        for start in range(0, len(out), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = self._block(vectors[part].astype(np.float64), numbers[part], role)
        check_embeddings(out, f"{role} text debiased by {self.debiaser.name}", self.dimension)
        return out

    def _block(self, vectors: FloatArray, numbers: IntArray, role: str) -> FloatArray:
        name = self.debiaser.name
        try:
            out = self.debiaser.apply(vectors, numbers, self.tensors[role])
        except HybridIRError:
            raise
        except Exception as error:
            raise PluginError(
                f"debiaser {name}: apply fails on {role} embeddings: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(out, np.ndarray) or out.dtype.kind not in REAL:
            kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
            raise EmbeddingError(f"debiaser {name} returned {kind}, expected an array of numbers")
        if out.shape != vectors.shape:
            raise EmbeddingError(f"debiaser {name} returned shape {out.shape} for {vectors.shape}")
        if not self.unit_length:
            return out
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        gone = lengths < ROUNDING  # what is left is noise: a zero vector, of no direction
        return np.where(gone, 0.0, out / np.where(gone, 1.0, lengths))

    def languages_of(
        self, texts: Sequence[str], languages: Languages, role: str, among: Sequence[str] = ()
    ) -> IntArray:
        """(n_texts,) language numbers: of the given languages, else detected where they matter.

        Args:
            texts: The texts.
            languages: One code for all, or one for each; None detects them.
            role: ``query`` or ``document``.
            among: Codes that come into question, a single one for certain; by default all.
        """
        if languages is None and self.needs_languages(role):
            if len(among) == 1:
                languages = among[0]
            else:
                distinct = list(dict.fromkeys(texts))
                found = dict(zip(distinct, detect(distinct, among=among), strict=True))
                languages = [found[text] for text in texts]
        return self.numbers(languages, len(texts))

    def save(self, folder: Path) -> Path:
        """Write ``debiaser.safetensors``; everything that the result depends on is in it."""
        header: dict[str, Any] = {
            "method": self.debiaser.name,
            "languages": self.languages,
            "options": dict(self.options),
            "dimension": self.dimension,
            "unit_length": self.unit_length,
        }
        if not all(self.tensors.values()):  # else the arrays' names tell the roles
            header["roles"] = sorted(self.tensors)
        flat = {
            f"{role}.{name}": np.ascontiguousarray(array)
            for role, arrays in self.tensors.items()
            for name, array in arrays.items()
        }
        path = folder / STATISTICS
        save_file(flat, path, {_HEADER: json.dumps(header, sort_keys=True)})
        path.chmod(0o644)  # safetensors makes it readable by its owner alone
        return path


def _header(text: str) -> dict[str, Any]:
    """What a file says of its statistics, each field of its type; True is no number."""
    header = parse_json(text, "its header")
    if not isinstance(header, dict):
        raise DataFormatError(f"its header is {quoted(header, 80)}")
    kinds = {"method": str, "languages": list, "options": dict, "dimension": int}
    for name, kind in {**kinds, "unit_length": bool, "roles": list}.items():
        if type(header.get(name)) is not kind and (name != "roles" or name in header):
            raise DataFormatError(f"{name} is {quoted(header.get(name), 80)}")
    if header["dimension"] < 1:
        raise DataFormatError(f"dimension is {quoted(header['dimension'], 80)}")
    for name in (*header["languages"], *header.get("roles", ())):
        if not isinstance(name, str):
            raise DataFormatError(f"{quoted(name, 80)} is no language or role")
    return header


def read_fitted(folder: Path, debiasers: Registry[Debiaser]) -> FittedDebiaser:
    """The debiaser that was saved in a folder.

    Raises:
        DataFormatError: No such file, or one that is damaged.
        UnknownNameError: No plugin registers its method.
    """
    path = folder / STATISTICS
    tensors: dict[str, dict[str, Any]] = {}
    try:
        with safe_open(path, "np") as file:
            header = _header((file.metadata() or {})[_HEADER])
            tensors.update({role: {} for role in header.get("roles", ())})
            for key in file.keys():  # noqa: SIM118 -- not a mapping
                role, _, name = key.partition(".")
                tensors.setdefault(role, {})[name] = file.get_tensor(key)
        options = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in header["options"].items()
        }
        method, languages = header["method"], tuple(header["languages"])
        dimension, unit_length = header["dimension"], header["unit_length"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataFormatError(
            f"{path}: not the statistics of a debiaser: {one_line(error, 200)}; fit it again: "
            "hybridir debias fit"
        ) from error
    debiaser = debiasers[method]
    missing = sorted(debiaser.roles - set(tensors))
    if missing:
        raise DataFormatError(f"{path}: no statistics of role {', '.join(missing)}; fit it again")
    return FittedDebiaser(debiaser, languages, tensors, options, dimension, unit_length)
