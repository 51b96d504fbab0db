"""Python values as JSON that is equal only for what computes the same: settings, tensors, code."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    EllipsisType,
    FunctionType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
import torch

PIECE_BYTES = 64 << 20  # a large tensor leaves the GPU in pieces
# Code that is told apart by the releases that are installed; every other function is read.
LIBRARIES = {
    *sys.stdlib_module_names,
    *("torch", "transformers", "sentence_transformers", "peft", "accelerate", "tokenizers"),
    *("numpy", "safetensors", "huggingface_hub", "typing_extensions", "mteb", "hybridir_mteb"),
    "bitsandbytes",
}
REMOTE = "transformers_modules"  # code that came with weights: told apart by its files
# Where a model came from and what read it do not change what it computes.
NOT_IN_CONFIG = {"_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype"}
_NOT_OF_CLASS = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "_abc_impl"}
_PARTS = {
    *("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training"),
    *("_is_full_backward_hook", "_accelerate_placement_hook"),
}
_FUNCTIONS = (FunctionType, MethodType, functools.partial)


class UnseenError(TypeError):
    """A value of which nobody can tell what it computes."""


def root(name: object) -> str:
    """The package of a module's name."""
    return str(name).partition(".")[0]


def feed_tensor(digest: Any, tensor: torch.Tensor) -> None:
    """Add a tensor's values to a digest, to the last bit.

    Raises:
        UnseenError: The tensor's kind does not show its values.
    """
    digest.update(f":{tensor.dtype}:{tuple(tensor.shape)}".encode())
    try:
        if tensor.is_quantized:
            digest.update(repr(_scales(tensor)).encode())
            tensor = tensor.int_repr()
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        for start in range(0, len(flat), PIECE_BYTES):
            digest.update(flat[start : start + PIECE_BYTES].cpu().numpy().data)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise UnseenError(f"a tensor of type {type(tensor).__name__}") from error


def _scales(tensor: torch.Tensor) -> list[Any]:
    if tensor.qscheme() in {torch.per_tensor_affine, torch.per_tensor_symmetric}:
        return [tensor.q_scale(), tensor.q_zero_point()]
    scales, zeros = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return [scales.tolist(), zeros.tolist(), tensor.q_per_channel_axis()]


def plain_attributes(module: torch.nn.Module) -> dict[str, Any]:
    """What a module has besides parameters, buffers, parts and mode; hooks if there are any."""
    shown = {name: value for name, value in vars(module).items() if name not in _PARTS}
    return {k: v for k, v in shown.items() if not isinstance(v, dict | set) or v}


class Values:
    """Reads values; one object that is met again is read once."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[object, Any]] = {}  # keeps the objects, so that ids hold

    def of(self, item: Any) -> Any:
        """The value as JSON.

        Raises:
            UnseenError: It cannot be told what it computes.
        """
        if item is None or type(item) in {bool, int, str}:
            return item
        if id(item) in self._read:
            return self._read[id(item)][1]
        self._read[id(item)] = item, "itself"  # in a circle
        found = self._anew(item)
        self._read[id(item)] = item, found
        return found

    @functools.singledispatchmethod
    def _anew(self, item: Any) -> Any:
        """Of any other kind of object: its class and what it holds."""
        kind = type(item)
        if hasattr(item, "to_dict") and root(kind.__module__) in LIBRARIES:
            config = {k: v for k, v in item.to_dict().items() if k not in NOT_IN_CONFIG}
            return [self.of(kind), self.of(config)]
        if hasattr(item, "to_str"):  # of the library tokenizers
            return [kind.__name__, item.to_str()]
        slots = {name: getattr(item, name, None) for part in kind.__mro__ for name in _slots(part)}
        if slots or hasattr(item, "__dict__"):
            return [self.of(kind), self.of({**getattr(item, "__dict__", {}), **slots})]
        raise UnseenError(f"an object of type {kind.__module__}.{kind.__qualname__}")

    @_anew.register(float | int | str | bytes | Path | complex | range | slice)
    @_anew.register(torch.dtype | torch.layout | torch.memory_format)
    def _shown(self, item: Any) -> Any:
        return [type(item).__name__, repr(item)]

    @_anew.register(EllipsisType | torch.device)
    def _named(self, item: Any) -> Any:
        return type(item).__name__  # a device changes the place, not the result

    @_anew.register(list | tuple)
    def _sequence(self, item: Any) -> Any:
        return [self.of(part) for part in item]

    @_anew.register(set | frozenset)
    def _set(self, item: Any) -> Any:
        return sorted((self.of(part) for part in item), key=repr)

    @_anew.register
    def _mapping(self, item: Mapping) -> Any:  # type: ignore[type-arg]  # read when registered
        return ["map", sorted(([self.of(k), self.of(v)] for k, v in item.items()), key=repr)]

    @_anew.register
    def _enum(self, item: Enum) -> Any:
        return [type(item).__qualname__, item.name]

    @_anew.register
    def _logger(self, item: logging.Logger) -> Any:
        return ["logger", item.name]

    @_anew.register
    def _pattern(self, item: re.Pattern) -> Any:  # type: ignore[type-arg]  # read when registered
        return [self.of(item.pattern), item.flags]

    @_anew.register
    def _tensor(self, item: torch.Tensor) -> Any:
        digest = hashlib.blake2b(digest_size=16)
        feed_tensor(digest, item)
        return ["tensor", digest.hexdigest()]

    @_anew.register(np.ndarray | np.generic)
    def _array(self, item: Any) -> Any:
        if item.dtype.hasobject:
            raise UnseenError("an array of objects")
        data = hashlib.blake2b(np.ascontiguousarray(item).tobytes(), digest_size=16)
        return ["array", str(item.dtype), list(item.shape), data.hexdigest()]

    @_anew.register
    def _packed(self, item: torch.ScriptObject) -> Any:
        return self.of(item.__getstate__())

    @_anew.register
    def _module(self, item: torch.nn.Module) -> Any:
        state = [[name, self.of(value)] for name, value in item.state_dict().items()]
        parts = [[name, self.of(plain_attributes(part))] for name, part in item.named_modules()]
        return [self.of(type(item)), state, parts]

    @_anew.register
    def _type(self, item: type) -> Any:
        if root(item.__module__) in LIBRARIES:
            return f"{item.__module__}.{item.__qualname__}"
        if root(item.__module__) == REMOTE:
            return [item.__qualname__, _files_of(sys.modules[item.__module__])]
        own = {k: v for k, v in vars(item).items() if k not in _NOT_OF_CLASS}
        shown = {k: v for k, v in own.items() if not isinstance(v, MemberDescriptorType)}
        return [item.__qualname__, [self.of(base) for base in item.__bases__], self.of(shown)]

    @_anew.register(staticmethod | classmethod)
    def _wrapped(self, item: Any) -> Any:
        return self.of(item.__func__)

    @_anew.register
    def _property(self, item: property) -> Any:
        return [self.of(part) for part in (item.fget, item.fset, item.fdel)]

    @_anew.register
    def _partial(self, item: functools.partial) -> Any:  # type: ignore[type-arg]  # as above
        return ["partial", self.of(item.func), self.of(item.args), self.of(item.keywords)]

    @_anew.register
    def _method(self, item: MethodType) -> Any:
        return [self.of(item.__self__), self.of(item.__func__)]

    @_anew.register
    def _imported(self, item: ModuleType) -> Any:
        known = root(item.__name__) in LIBRARIES
        return item.__name__ if known else [item.__name__, _files_of(item)]

    @_anew.register
    def _code(self, item: CodeType) -> Any:
        parts = [self.of(part) for part in item.co_consts]
        return [item.co_code.hex(), list(item.co_names), list(item.co_varnames), parts]

    @_anew.register(BuiltinFunctionType | MethodDescriptorType | WrapperDescriptorType | np.ufunc)
    def _compiled(self, item: Any) -> Any:
        owner = getattr(item, "__self__", None)
        if not (owner is None or isinstance(owner, ModuleType | type)):
            return [item.__name__, self.of(owner)]
        return [str(getattr(item, "__module__", "")), item.__name__]

    @_anew.register
    def _function(self, item: FunctionType) -> Any:
        cells = [_content(cell) for cell in item.__closure__ or ()]
        if root(item.__globals__.get("__name__")) in {*LIBRARIES, REMOTE}:
            inner = [self.of(cell) for cell in cells if isinstance(cell, _FUNCTIONS)]
            return [f"{item.__module__}.{item.__qualname__}", inner]
        names = [name for name in sorted(_names(item.__code__)) if name in item.__globals__]
        used = {name: self.of(item.__globals__[name]) for name in names}
        rest = [item.__defaults__, item.__kwdefaults__, cells, vars(item)]
        return [self.of(item.__code__), self.of(used), [self.of(part) for part in rest]]


def _slots(kind: type) -> list[str]:
    named = vars(kind).get("__slots__", ())
    every = [named] if isinstance(named, str) else list(named)
    return [name for name in every if name not in _NOT_OF_CLASS]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _names(code: CodeType) -> set[str]:
    """Names that code looks up, functions within it included."""
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _files_of(module: ModuleType) -> str:
    """Digest of a module's source; of code that came with weights, of all files beside it."""
    path = Path(module.__file__ or "")
    files = sorted(path.parent.glob("*.py")) if root(module.__name__) == REMOTE else [path]
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(file.read_bytes())
    except OSError as error:
        raise UnseenError(f"the module {module.__name__}") from error
    return digest.hexdigest()


def code_of(function: Any) -> str | None:
    """Digest of a function, of what it holds and of what it calls; None if it cannot be read."""
    try:
        text = json.dumps(Values().of(function))
    except UnseenError:
        return None
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def foreign_code(kind: type) -> list[tuple[str, Any]]:
    """Functions that were put into the classes of libraries by others: name, function."""
    found = []
    for part in kind.__mro__:
        if root(part.__module__) in LIBRARIES:
            for name, item in vars(part).items():
                function = getattr(item, "__func__", getattr(item, "fget", item))
                if isinstance(function, _FUNCTIONS) and _is_foreign(function):
                    found.append((f"{part.__qualname__}.{name}", function))
    return found


@functools.cache
def _is_foreign(item: Any) -> bool:
    """Whether a function, or one that it wraps, is of no library."""
    pending, met = [item], set()
    while pending:
        part = pending.pop()
        if isinstance(part, functools.partial):
            pending.append(part.func)
        elif isinstance(part, MethodType):
            pending.append(part.__func__)
        elif isinstance(part, FunctionType) and id(part) not in met:
            met.add(id(part))
            if root(part.__globals__.get("__name__")) not in {*LIBRARIES, REMOTE}:
                return True
            pending += map(_content, part.__closure__ or ())
    return False
