"""What changes a network's embeddings and is in no parameter: attributes, hooks, adapters, code.

Of a network as its files describe it there is nothing to tell, so that its fingerprint is that of
version 0.1; only what differs from it is told.
"""

from __future__ import annotations

import copy
import inspect
import logging
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from hybridir_mteb.encoders.values import UnseenError, Values, foreign_code, plain_attributes, root

logger = logging.getLogger(__name__)

CLOSE = 1e-6  # of a buffer that another device computed
# Of networks: where they came from, how they are loaded and trained.
_OF_NETWORKS = {
    *("config", "name_or_path", "warnings_issued", "generation_config", "hf_device_map"),
    *("gradient_checkpointing", "_gradient_checkpointing_func", "_is_hf_initialized"),
    *("all_tied_weights_keys", "loss_type", "hf_quantizer", "max_seq_len_cached", "_caches"),
}
# Of sentence-transformers: caches, what follows from other settings, and what keys have anyway.
_OF_MODULES = {
    *("processor", "tokenizer", "base_model", "_prompt_length_mapping", "_method_signature_cache"),
    *("_chat_template_suffix_cache", "_declared_forward_params", "input_formatter", "backend"),
    *("pooling_output_dimension", "num_embeddings", "embedding_dim", "do_lower_case"),
}
_OF_MODELS = {
    *("_similarity", "_similarity_pairwise", "_similarity_fn_name", "truncate_dim", "prompts"),
    *("default_prompt_name", "trust_remote_code", "model_card_data", "module_kwargs", "backend"),
    *("_model_card_vars", "_model_card_text", "_device_map", "_modules_placed"),
    *("is_hpu_graph_enabled", "model_config", "_model_config"),
}
_STRUCTURE = {
    *("Linear", "Identity", "Sequential", "ModuleList", "ModuleDict", "Dropout"),
    *("LayerNorm", "Embedding", "EmbeddingBag"),
}
_ACCELERATE = {"forward", "_old_forward", "_hf_hook"}  # moves layers between devices
_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks")
_SIDES = {"padding_side": "right", "truncation_side": "right", "split_special_tokens": False}


def module_state(module: torch.nn.Module) -> list[Any]:
    """What of a network differs from the one that its configuration describes, as JSON.

    Raises:
        UnseenError: There is something of which nobody can tell what it computes.
    """
    values, found = Values(), []
    described, own = dict(_described(module)), dict(module.named_modules())
    for name, part in own.items():
        like = described.get(name)
        same = like if type(like) is type(part) else None
        told = _of_part(values, part, same)
        if same is None and not _is_in_repr(name, part):
            told["class"] = values.of(type(part))
        if told:
            found.append([name, told])
    gone = [name for name, like in described.items() if _is_missed(name, like, own)]
    return [*found, *gone, *_code(values, module), *_tokenizers(values, module)]


def cheap_state(module: torch.nn.Module) -> list[Any]:
    """All classes, attributes and hooks, and a checksum of each tokenizer, as JSON.

    What cannot be read is told by the object's number: within one process that is enough.
    """
    values, found = Values(), []
    for name, part in module.named_modules():
        kept = plain_attributes(part)
        for key in (_OF_NETWORKS | _OF_MODULES | _OF_MODELS) & kept.keys():
            del kept[key]
        told = {key: _or_number(values, value) for key, value in kept.items()}
        found.append([name, type(part).__qualname__, id(type(part)), told])
        config = getattr(part, "config", None)
        found.append([_or_number(values, config), getattr(config, "_attn_implementation", None)])
    for name, tokenizer in _each_tokenizer(module):
        own = {side: getattr(tokenizer, side, None) for side in (*_SIDES, "model_max_length")}
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        whole = backend.to_str() if hasattr(backend, "to_str") else ""
        if backend is not tokenizer:  # every call sets what stands before
            whole = whole[whole.find('"added_tokens"') :]
        found.append([name, own, zlib.crc32(whole.encode()), id(tokenizer)])
    foreign = [[name, id(item)] for name, item in _foreign(module)]
    return [*found, foreign, [_or_number(values, hook) for hook in _global_hooks()]]


def _or_number(values: Values, item: Any) -> Any:
    try:
        return values.of(item)
    except UnseenError:
        return id(item)


def is_patched(item: object) -> bool:
    """Whether somebody put functions into an object of this package or of a library."""
    return bool(foreign_code(type(item))) or any(
        callable(value) and callable(getattr(type(item), name, None))
        for name, value in vars(item).items()
    )


def _is_in_repr(name: str, part: torch.nn.Module) -> bool:
    """Whether the fingerprint has a module's class from the representation of the whole."""
    kind, package = type(part).__qualname__, root(type(part).__module__)
    if package == "sentence_transformers":
        return True
    return package == "torch" and (
        kind in _STRUCTURE or name.endswith("activation_function") or "." not in name
    )


def _is_missed(name: str, like: torch.nn.Module, own: Mapping[str, Any]) -> bool:
    """Whether a part was taken away of which no weight tells."""
    above = name.rpartition(".")[0]
    return name not in own and above in own and not any(True for _ in like.parameters())


def _of_part(values: Values, part: torch.nn.Module, like: torch.nn.Module | None) -> Any:
    """What one module has that the described one has not."""
    own, kind = plain_attributes(part), type(part)
    if root(type(own.get("_hf_hook")).__module__) == "accelerate":
        own = {key: value for key, value in own.items() if key not in _ACCELERATE}
    known = root(kind.__module__)
    if hasattr(part, "from_pretrained"):  # a whole network keeps how it was loaded
        own = {key: value for key, value in own.items() if key[0] != "_" or "hook" in key}
    if like is not None:
        told = _differing(values, own, like)
        own_way = getattr(getattr(part, "config", None), "_attn_implementation", None)
        if own_way != getattr(getattr(like, "config", None), "_attn_implementation", None):
            told["attention"] = own_way
    elif known == "sentence_transformers" and isinstance(part, torch.nn.Sequential):
        told = {key: values.of(value) for key, value in own.items() if key not in _OF_MODELS}
    elif known in {"torch", "sentence_transformers"}:
        told = _not_by_default(values, part, own)
    else:
        told = {key: values.of(value) for key, value in own.items() if key not in _OF_NETWORKS}
    told |= _buffers(values, part, like)
    return told


def _buffers(values: Values, part: torch.nn.Module, like: torch.nn.Module | None) -> dict[str, Any]:
    """Buffers that are not stored with the weights, with other numbers than described."""
    own = {name: part._buffers[name] for name in sorted(part._non_persistent_buffers_set)}
    return {
        f"buffer {name}": values.of(buffer)
        for name, buffer in own.items()
        if buffer is not None
        and not buffer.is_meta
        and not _equal(buffer, getattr(like, name, None))
    }


def _differing(values: Values, own: Mapping[str, Any], like: torch.nn.Module) -> dict[str, Any]:
    """Attributes that the described module has not, or with another value."""
    told, described = {}, plain_attributes(like)
    for key in sorted(own.keys() - _OF_NETWORKS):
        if own[key] is None and key in like._modules:
            continue  # a part that was taken away: the weights tell
        found = values.of(own[key])
        if key not in described or found != values.of(described[key]):
            told[key] = found
    return told


def _not_by_default(
    values: Values, part: torch.nn.Module, own: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that were not given to the class's constructor, or are not its defaults."""
    given = inspect.signature(type(part).__init__).parameters
    in_repr = set(getattr(part, "config_keys", ())) if "Router" not in type(part).__name__ else ()
    told = {}
    for key, value in own.items():
        name = key.lstrip("_")
        if name in in_repr or key in _OF_MODULES or isinstance(part, torch.nn.Dropout):
            continue
        # What a constructor has no default for is a size, which the parameters' shapes tell.
        default = given[name].default if name in given else None
        if name in given and (default is inspect.Parameter.empty or _same(value, default)):
            continue
        if name == "can_flatten_inputs" and not value:
            continue
        if name == "model_forward_params" and _passes_all(part, value):
            continue
        told[key] = values.of(value)
    return told


def _same(value: Any, default: Any) -> bool:
    return (
        value is default
        or (not value and not default and not isinstance(value, bool | int))
        or (
            type(value) is type(default)
            and isinstance(value, bool | int | float | str)
            and value == default
        )
    )


def _passes_all(part: Any, value: set[str] | None) -> bool:
    return value is None or value >= part._declared_forward_params


def _equal(one: torch.Tensor, other: Any) -> bool:
    if not isinstance(other, torch.Tensor) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if other.is_meta:
        return False
    if one.is_floating_point():
        return torch.allclose(one.cpu(), other, rtol=CLOSE, atol=0)
    return torch.equal(one.cpu(), other)


class _NoParameters(TorchFunctionMode):
    """Constructors make parameters without memory; buffers, which they compute, are real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See :class:`torch.overrides.TorchFunctionMode`."""
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _described(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Every part of every transformers network, as its class makes it from the configuration."""
    from transformers import PreTrainedModel

    inside = ""
    for name, part in module.named_modules():
        if not isinstance(part, PreTrainedModel) or (inside and name.startswith(inside)):
            continue
        inside = f"{name}." if name else ""
        config = copy.deepcopy(part.config)
        config._attn_implementation = None  # as is usual for the class
        try:
            with _NoParameters():
                made = type(part)(config)
        except Exception as error:  # noqa: BLE001 -- any network's own code; then all is told
            logger.info("%s cannot be made from its configuration: %s", type(part).__name__, error)
            continue
        for inner, like in made.named_modules():
            yield f"{inside}{inner}".strip("."), like


def _foreign(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    for kind in {type(part) for part in module.modules()}:
        yield from foreign_code(kind)


def _global_hooks() -> list[Any]:
    return [hook for name in _HOOKS for hook in getattr(torch.nn.modules.module, name).values()]


def _code(values: Values, module: torch.nn.Module) -> list[Any]:
    """Functions put into libraries' classes, and hooks of all modules."""
    patched = {name: values.of(item) for name, item in _foreign(module)}
    hooks = [values.of(hook) for hook in _global_hooks()]
    return [["code", patched, hooks]] if patched or hooks else []


def _each_tokenizer(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """Every tokenizer once, the module's own first."""
    met: set[int] = set()
    for name, part in module.named_modules():
        tokenizer = getattr(part, "tokenizer", None)
        if tokenizer is not None and id(tokenizer) not in met:
            met.add(id(tokenizer))
            yield name, tokenizer


def _tokenizers(values: Values, module: torch.nn.Module) -> list[Any]:
    """What tokenizers have besides the first one's vocabulary and rules."""
    found = []
    for name, tokenizer in _each_tokenizer(module):
        told: dict[str, Any] = {}
        for side, usual in _SIDES.items():
            if (value := getattr(tokenizer, side, usual)) != usual:
                told[side] = value
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if backend is tokenizer:  # used as it is; else every call sets these
            told |= {
                s: str(v) for s in ("truncation", "padding") if (v := getattr(backend, s, None))
            }
        else:
            told |= {k: values.of(v) for k, v in vars(tokenizer).items() if inspect.isroutine(v)}
        if name and tokenizer is not getattr(module, "tokenizer", None):
            told["all"] = values.of(backend)
        patched = {k: values.of(item) for k, item in foreign_code(type(tokenizer))}
        if patched or root(type(tokenizer).__module__) not in {"transformers", "tokenizers"}:
            told["class"] = [values.of(type(tokenizer)), patched]
        if told:
            found.append(["tokenizer", name, told])
    return found
