"""Tiny networks for plans, and what PyTorch keeps of them for the backward pass."""

from contextlib import ExitStack
from typing import Any

from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.networks import of_config

TINY_CONFIG = {
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "vocab_size": 10,
    "max_position_embeddings": 64,
}
TINY = of_config({**TINY_CONFIG, "rms_norm_eps": 1e-6}, "tiny")


def kept_by_torch(family: str, config: dict[str, Any], job: Job) -> float:
    """Bytes that PyTorch keeps of a token and layer: those of three layers less those of two."""
    two, three = (_kept(family, {**config, "num_hidden_layers": n}, job) for n in (2, 3))
    return (three - two) / (job.batch * job.tokens)


def _kept(family: str, config: dict[str, Any], job: Job) -> int:
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.helpers import disable_input_dtype_casting
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from transformers import AutoConfig, AutoModel

    given = {key: value for key, value in config.items() if key != "model_type"}
    if family == "bert":
        given |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    else:
        given["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    model: Any = AutoModel.from_config(AutoConfig.for_model(family, **given))
    lora = LoraConfig(r=job.rank or 1, lora_dropout=job.dropout, target_modules="all-linear")
    model = get_peft_model(model, lora).train()
    for module in model.modules():  # as encoders/network.py:freeze_in_bf16
        frozen = isinstance(module, torch.nn.Linear) and not module.weight.requires_grad
        if frozen and job.half and family == "bert":
            module.to(torch.bfloat16)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        place = tensor.untyped_storage().data_ptr()
        if place not in own and tensor.numel() % (job.batch * job.tokens) == 0:  # no weight's copy
            found[place] = tensor  # held, so that no other gets its place
        return tensor

    ids = torch.randint(2, 10, (job.batch, job.tokens))
    mask = torch.ones_like(ids)
    mask[0, -1] = 0
    with ExitStack() as stack:
        stack.enter_context(disable_input_dtype_casting(model, active=job.half))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor))
        stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=job.half))
        model(input_ids=ids, attention_mask=mask)
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())
