"""Encoding by OpenVINO on a processor: its kernels join what PyTorch does one by one.

The network alone is OpenVINO's; pooling and what comes after it stay the model's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.features import Features, Reader, Texts
from hybridir_mteb.encoders.other_engine import OtherEngine
from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.sentence import is_plain
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import SettingError, from_extra, one_line
from hybridir_mteb.ranking.arrays import FloatMatrix

HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}
EXAMPLE = ("one text", "and another that is longer")
TELEMETRY = "openvino_telemetry"


class OpenVinoEncoder(OtherEngine):
    """Encodes with OpenVINO what a sentence-transformers model encodes.

    Args:
        model: The reference, which OpenVINO is compared with.
        precision: Of both.
        token_budget: Largest batch in tokens, padding included.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        SettingError: A network that OpenVINO cannot read, one that is not on the processor, or
            other vectors than the reference's.
    """

    asked, label = "openvino", "OpenVINO"

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        precision: Precision = Precision.FP32,
        token_budget: int | None = None,
    ) -> None:
        with unreported(), from_extra("openvino", "engine=openvino"):
            import openvino
        super().__init__(model, precision=precision, token_budget=token_budget)
        kind = model.device.type
        if kind != "cpu" or not is_plain(model) or not hasattr(model[0], "model"):
            raise SettingError(
                "engine=openvino computes transformers' networks on the processor, not "
                f"{type(model[0]).__name__} on {kind}: leave engine out"
            )
        reference = self.reference()
        self._inputs, self._network = _compiled(openvino, model, self.precision)
        self.name = f"openvino {openvino.__version__.partition('-')[0]}"
        self.check(reference)
        usual, self.token_budget = self.token_budget, sys.maxsize
        self.check(reference)  # in one batch: short texts beside long ones, with much padding
        self.token_budget = usual

    def vectors(self, features: Features, role: Role | None = None) -> FloatMatrix:
        """(n, dimension) embeddings of one batch, as a network reads it."""
        (found,) = self._network({name: features[name] for name in self._inputs}).values()
        there: dict[str, Any] = {**features, "token_embeddings": torch.from_numpy(found)}
        with torch.inference_mode():
            for module in list(self.model)[1:]:
                there = module(there)
        matrix: FloatMatrix = there["sentence_embedding"][:, : self.model.truncate_dim].numpy()
        return matrix


@contextmanager
def unreported() -> Iterator[None]:
    """OpenVINO, imported within the block, tells nobody of it: nobody was asked."""
    there = TELEMETRY in sys.modules
    if not there:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        yield
    finally:
        if not there:
            del sys.modules[TELEMETRY]


class _States(torch.nn.Module):
    """The network as a function of tensors alone."""

    def __init__(self, network: torch.nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.inputs = network, inputs

    def forward(self, *tensors: Tensor) -> Tensor:
        given = dict(zip(self.inputs, tensors, strict=True))
        states: Tensor = self.network(**given, return_dict=True).last_hidden_state
        return states


def _compiled(
    openvino: Any, model: SentenceTransformer, precision: Precision
) -> tuple[tuple[str, ...], Any]:
    """Names of the inputs, and the network as OpenVINO computes it."""
    example = Texts(Reader(model, "", None), EXAMPLE).batch([0, 1])
    network = network_of(model).eval()
    known = signature(network.forward).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
    inputs = tuple(
        name
        for name, value in example.items()
        if isinstance(value, Tensor) and (name in known or takes_any)
    )
    settings = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        with torch.no_grad(), quiet_transformers(), catch_warnings():
            simplefilter("ignore")  # of tracing: what it gets wrong, the comparison finds
            converted = openvino.convert_model(
                _States(network, inputs), example_input=tuple(example[name] for name in inputs)
            )
        for name, port in zip(inputs, converted.inputs, strict=True):
            port.get_tensor().set_names({name})
        return inputs, openvino.Core().compile_model(converted, "CPU", settings)
    except Exception as error:
        raise SettingError(
            f"OpenVINO cannot read this network ({one_line(error, 200)}): leave engine out"
        ) from error
