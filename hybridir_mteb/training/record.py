"""Writes a trained encoder's folder: weights, record, model card."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from torch import Tensor

from hybridir_mteb.encoders.card import card, machine, versions, write_record
from hybridir_mteb.encoders.contents import applied_to, digests_of, fingerprint_of
from hybridir_mteb.encoders.four_bit import count
from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.trained import FORMAT, MODEL, PARAMETERS
from hybridir_mteb.encoders.trained_record import origin_of
from hybridir_mteb.errors import from_extra
from hybridir_mteb.files import write_text
from hybridir_mteb.paths import with_home
from hybridir_mteb.training.facts import facts_of
from hybridir_mteb.training.held_out import HeldOutScores
from hybridir_mteb.training.leak import leak_record
from hybridir_mteb.training.plan import Plan, content_hash
from hybridir_mteb.training.weights import trained_state

with from_extra("train", "training"):
    from peft import get_peft_model_state_dict

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
LIBRARIES = ("sentence-transformers", "transformers", "torch", "peft", "accelerate", "datasets")


@dataclass(frozen=True)
class Outcome:
    """What a run found, for the encoder's record.

    Attributes:
        base_scores: Held-out scores of the backbone.
        scores: Held-out scores of the encoder.
        weight: Interpolation weight that was kept.
        weights: Held-out scores of every weight tried.
        curve: Logged values of each step.
        seconds: Duration of this process's share of the run.
        devices: Number of processes.
        precision: Arithmetic of the forward pass in training.
        chosen_in: Arithmetic of the evaluations on held-out documents; None if there were none.
    """

    base_scores: HeldOutScores | None
    scores: HeldOutScores | None
    weight: float
    weights: dict[str, HeldOutScores]
    curve: list[dict[str, Any]]
    seconds: float
    devices: int
    precision: str
    chosen_in: str | None


def write_encoder(folder: Path, model: SentenceTransformer, plan: Plan, outcome: Outcome) -> None:
    """Fill a folder with everything that an encoder consists of."""
    network = network_of(model)
    if plan.lora is not None:
        _write_adapter(folder, network)
    elif plan.backbone.loader and plan.recipe.weights is None:
        state = trained_state(model)
        _save({name: value.contiguous() for name, value in state.items()}, folder / PARAMETERS)
    else:
        with quiet_transformers():
            model.save_pretrained(str(folder / MODEL), create_model_card=False)
    backbone, files = backbone_record(plan), digests_of(folder)
    record = {
        "format": FORMAT,
        "name": plan.recipe.name,
        "fingerprint": fingerprint_of(files, applied_to({"backbone": backbone})),
        "files": files,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "backbone": backbone,
        "method": plan.method.name,
        "batches": _batches(plan),
        "languages": list(plan.languages),
        "dimension": model.get_embedding_dimension(),
        # Once the adapter is merged.
        "parameters": sum(count(p) for n, p in model.named_parameters() if ".lora_" not in n),
        "facts": facts_of(model, plan),
        "recipe": plan.recipe.model_dump(mode="json"),
        "options": {k: v for k, v in plan.options.items() if v != ""},
        "data": _data_record(plan),
        "leak_check": leak_record(plan.checked, plan.unchecked, plan.leaks),
        "selection": _selection_record(outcome),
        "machine": _machine(outcome),
        "versions": versions((*LIBRARIES, *(["bitsandbytes"] * bool(plan.recipe.quantization)))),
        "curve": outcome.curve,
    }
    write_record(folder, record, model_card(record))


def _write_adapter(folder: Path, network: Any) -> None:
    """The LoRA factors in float16: their rounding is far below what training leaves to chance."""
    state = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in get_peft_model_state_dict(network).items()
    }
    _save(state, folder / ADAPTER)
    config = network.peft_config["default"].to_dict() | {"inference_mode": True}
    config["base_model_name_or_path"] = None  # the record says it; a path would be this machine's
    plain = {key: sorted(v) if isinstance(v, set) else v for key, v in config.items()}
    text = json.dumps(plain, indent=1, default=str, sort_keys=True)
    write_text(folder / ADAPTER_CONFIG, text + "\n")


def _save(state: dict[str, Tensor], path: Path) -> None:
    save_file(state, path)
    path.chmod(0o644)  # safetensors makes it readable by its owner alone


def backbone_record(plan: Plan) -> dict[str, Any]:
    """Which network the encoder was trained from."""
    recipe, backbone = plan.recipe, plan.backbone
    said = {"terms": backbone.terms}
    if backbone.loader and recipe.weights is None:
        weights, revision = None, backbone.sha256 or "embedded"
        said["source"] = backbone.source
    else:
        weights = recipe.weights
        local = weights is not None and with_home(weights).is_dir()
        revision = "local" if local or plan.revision is None else plan.revision
        weights = str(with_home(weights).resolve()) if local and weights else weights
    return {
        "name": backbone.name,
        "hub_id": backbone.hub_id,
        "weights": weights,
        "revision": revision,
        **({"digest": plan.digest} if plan.digest else {}),
        **({"quantization": recipe.quantization} if recipe.quantization else {}),
        **{key: value for key, value in said.items() if value},
    }


def _batches(plan: Plan) -> str:
    """What a batch was, and the loss; an option may ask for another kind than the method's own."""
    method, kind = plan.method, plan.options["batches"]
    other = f" The batches were {kind}, by an option." if kind not in {"", method.batches} else ""
    return method.summary + other


def _data_record(plan: Plan) -> list[dict[str, Any]]:
    held = {source.name: len(source.items) for source in plan.held_out}
    return [
        {
            "source": source.name,
            "origin": source.origin,
            "items": len(source.items),
            "texts": 2 * sum(len(item.examples) for item in source.items),
            "held_out_items": held.get(source.name, 0),
            "sha256": content_hash(source),
        }
        for source in plan.train
    ]


def _selection_record(outcome: Outcome) -> dict[str, Any]:
    return {
        "backbone": outcome.base_scores.as_dict() if outcome.base_scores else None,
        "encoder": outcome.scores.as_dict() if outcome.scores else None,
        "precision": outcome.chosen_in,
        "interpolation": outcome.weight,
        "interpolations_tried": {w: s.as_dict() for w, s in outcome.weights.items()},
    }


def _machine(outcome: Outcome) -> dict[str, Any]:
    return {
        **machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": outcome.devices,
        "precision": outcome.precision,
        "seconds": round(outcome.seconds, 1),
    }


def _use_of(source: dict[str, Any]) -> str:
    """What one source of the data was used for."""
    place = source["origin"] or source["source"]
    held = f"{source['held_out_items']} held out for selection"
    if not source["items"]:
        return f"{held}: {place}"
    return f"Trained on {source['items']} items: {place}; {held}"


def _of_backbone(backbone: dict[str, Any]) -> list[str]:
    """Lines about the weights that training started from, where they are not the table's own."""
    lines = []
    if "source" in backbone:
        lines.append(f"- Backbone: {backbone['source']}, sha256 `{backbone['revision']}`")
    elif "digest" in backbone:
        lines.append(f"- Backbone: a local folder, with the digest `{backbone['digest']}`")
    elif backbone["weights"]:
        lines.append(f"- Backbone: weights of the hub, commit `{backbone['revision']}`")
    if "quantization" in backbone:
        lines.append(
            f"- The adapter belongs to linear layers in 4 bits (`{backbone['quantization']}`), "
            'which need `pip install "hybridir-mteb[qlora]"`'
        )
    if "terms" in backbone:
        lines.append(f"- {backbone['terms']}")
    return lines


def model_card(record: dict[str, Any]) -> str:
    """The card, from the record alone."""
    backbone, selection = record["backbone"], record["selection"]
    origin = origin_of(backbone)
    leaks = record["leak_check"]["allowed_leaks"]
    facts = [
        f"- Weights' fingerprint (MTEB's revision): `{record['fingerprint']}`",
        *_of_backbone(backbone),
        f"- Batches: {record['batches']}",
        *(f"- {_use_of(source)}" for source in record["data"]),
        f"- Seed {record['recipe']['seed']}; interpolation weight {selection['interpolation']}"
        + (", chosen on held-out documents" if selection["interpolations_tried"] else ""),
        "- No text of the data that it was trained on and selected by occurs in "
        + (", ".join(record["leak_check"]["checked"]) or "any set that was compared: none was")
        + "; what the backbone was trained on is its makers' to say"
        if not leaks
        else f"- NOT zero-shot: {len(leaks)} items occur in evaluation sets, which was allowed",
        "",
    ]
    if selection["encoder"] and selection["backbone"]:
        facts += ["| held-out documents | backbone | this encoder |", "|---|---|---|"]
        facts += [
            f"| {name} | {selection['backbone'][name]} | {value} |"
            for name, value in selection["encoder"].items()
        ]
        facts.append("")
    summary = (
        f"`{backbone['name']}` ({origin}) trained with the method "
        f"`{record['method']}` by hybridir-mteb {record['versions']['hybridir-mteb']}."
    )
    return card(record, origin, summary, facts, "the run")
