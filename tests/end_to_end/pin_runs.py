"""The runs whose results are pinned, as a user types them: the command line and public names only.

Every run works in a folder of its own, with relative paths, so that nothing of the machine gets
into what it prints.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from toys.cli import ended

HERE = Path(__file__).parent
SETTINGS = ("Monolingual", "CrossLingual", "Multilingual")
POCKET = [f"PocketQAR{setting}Retrieval" for setting in SETTINGS]
PARALLEL = [f"PinsParallel{setting}Retrieval" for setting in SETTINGS]
STREAMED = [f"PinsStreamed{setting}Retrieval" for setting in ("Monolingual", "Multilingual")]
BASE, DEBIASED = "hybridir/pocket-base", "hybridir/pocket-hybrid+centre"
COMMANDS = """models list show export import rm push|debias fit methods|data list fetch verify add \
pool remove|cache info clear|train|bias|export|report|scaling|search|encode|tasks|doctor"""
# Of the run, not of what it computes.
PASSING = {
    *("mteb_version", "date", "evaluation_time", "evaluation_phases", "kg_co2_emissions"),
    *("created", "release_date", "machine", "versions", "loader_kwargs"),
    *("train_runtime", "train_samples_per_second", "train_steps_per_second"),
}
SETS = {"training_datasets"}
NOTHING_ADDED = {"HYBRIDIR_COLLECTIONS": "no-collections"}
PROBE = """
import hashlib, hybridir_mteb
model = hybridir_mteb.load_pocket()
texts = ["Woraus besteht Bernstein?", "Amber.", "Where does the axolotl live in the wild? " * 9]
vectors = model.encode(texts, prompt_name="query", show_progress_bar=False)
print(vectors.dtype, hashlib.sha256(vectors.tobytes()).hexdigest())
"""
FACE = """
import dataclasses, importlib.metadata, inspect, json
import hybridir_mteb
def parameters(item):
    if not callable(item):
        return None
    return list(inspect.signature(item).parameters)
names = {f"{n}:first": parameters(getattr(hybridir_mteb, n)) for n in hybridir_mteb.__all__}
own = importlib.metadata.distribution("hybridir-mteb").entry_points
print(json.dumps({"names": names, "entry points": sorted([e.group, e.name] for e in own)}))
"""
EXACT_SEARCH = """
import json, sys
from beir.datasets.data_loader import GenericDataLoader
from hybridir_mteb.adapters.beir import BeirEncoder, ExactSearch
corpus, queries, _ = GenericDataLoader(sys.argv[1]).load(split="test")
search = ExactSearch(BeirEncoder(sys.argv[2]), corpus_chunk_size=7)
print(json.dumps(search.search(corpus, queries, 5, sys.argv[3])))
"""


def digest(path: Path) -> str:
    """Start of the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:24]


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder, with its digest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def unsealed(path: Path) -> dict[str, Any]:
    """A record without its checksum, which depends on times and versions."""
    record: dict[str, Any] = json.loads(path.read_text())
    return {key: value for key, value in record.items() if key != "sha256"}


def settled(value: Any) -> Any:
    """A JSON value without what passes: times, versions, the order of sets."""
    if isinstance(value, dict):
        kept = {k: None if k in PASSING else settled(v) for k, v in value.items()}
        return kept | {k: sorted(kept[k]) for k in SETS & kept.keys() if kept[k]}
    return [settled(item) for item in value] if isinstance(value, list) else value


class Runs:
    """All runs, each made in an empty folder when it is asked for; MIRACL's need a mirror."""

    def __init__(self, folder: Path, mirror: Path | None = None) -> None:
        self.folder, self.mirror = folder, mirror
        self.site = folder / "site"
        info = self.site / "pins-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pins\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[hybridir_mteb]\npins = pins_plugin\n")
        write_beir(folder / "beir")
        write_bert(folder / "bert")

    # Processes --------------------------------------------------------------------------------

    def environment(self, plugin: bool = True, **extra: str) -> dict[str, str]:
        """Relative folders, one thread, no colours; nothing of the user's."""
        foreign = ("HYBRIDIR", "MTEB", "COLUMNS", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = [str(self.site), str(HERE)] if plugin else []
        own = {
            "HYBRIDIR_CACHE_DIR": "cache",
            "HYBRIDIR_MODEL_STORE": "no-encoders",
            "HYBRIDIR_COLLECTIONS": "collections",
            "HYBRIDIR_DATA_DIR": "no-mirror",
            "HYBRIDIR_PROBE": "0",  # which library is faster here decides digits
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]).strip(":"),
        }
        return {**kept, **own, **extra}

    def run(self, *command: str | Path, plugin: bool = True, **extra: str) -> str:
        """What a command prints; its failure is the test's."""
        words = [str(part) for part in command]
        return ended(words, self.environment(plugin, **extra), self.folder, copied=True).stdout

    def hybridir(self, *command: str, **extra: str) -> str:
        """One command of its own."""
        return self.run(sys.executable, "-m", "hybridir_mteb", *command, **extra)

    def many(self, commands: list[list[str]], **extra: Any) -> list[list[str]]:
        """Lines that each of many commands prints, all of them in one process."""
        ask, answer = self.folder / "commands.json", self.folder / "outputs.json"
        ask.write_text(json.dumps(commands))
        self.run(sys.executable, HERE / "many.py", ask, answer, **extra)
        return [[line.rstrip() for line in p.splitlines()] for p in json.loads(answer.read_text())]

    def mteb(self, place: str, model: str, *tasks: str, **extra: str) -> None:
        """``mteb run`` with results and predictions in a folder."""
        script = Path(sys.executable).with_name("mteb")
        command = [script, "run", "-m", model, "-t", *tasks, "--output-folder", f"{place}/out"]
        self.run(*command, "--prediction-folder", f"{place}/predictions", **extra)

    # What they leave --------------------------------------------------------------------------

    def results(self, place: str, fingerprint: str = "") -> dict[str, Any]:
        """Files of ``mteb run``; the fingerprint of weights computed here becomes a word."""
        home = self.folder / place / "out"
        found: dict[str, Any] = {}
        for path in sorted(home.rglob("*.json")):
            text = json.dumps({path.relative_to(home).as_posix(): json.loads(path.read_text())})
            found |= settled(json.loads(text.replace(fingerprint or "\0", "FINGERPRINT")))
        return found

    def predictions(self, place: str, suffix: str = "") -> dict[str, Any]:
        """Digests of the rankings' ids and scores, and the first query's best five."""
        found = {}
        for path in sorted((self.folder / place / "predictions").glob("*.json")):
            for subset, splits in json.loads(path.read_text()).items():
                if subset == "mteb_model_meta":
                    continue
                for split, run in splits.items():
                    first = next(iter(run.values()))
                    found[f"{path.stem} {subset} {split}"] = {
                        "queries": len(run),
                        f"ids{suffix}": _sha([[q, *ranking] for q, ranking in run.items()]),
                        f"scores{suffix}": _sha([list(r.values()) for r in run.values()]),
                        f"first{suffix}": list(first.items())[:5],
                    }
        return found

    def searched(self, place: str, suffix: str = "") -> dict[str, Any]:
        """Files of ``hybridir search``: the measures whole, the others as digests."""
        folder = self.folder / place
        measures = settled(unsealed(folder / "measures.json"))
        files = {name: sha for name, sha in tree(folder).items() if name != "measures.json"}
        runs = {f"{n}{suffix if n.endswith('.trec') else ''}": sha for n, sha in files.items()}
        return {"measures": measures, "files": runs}

    def stored(
        self, cache: str, derived: tuple[str, ...] = (), bits: str = ":bits"
    ) -> list[dict[str, Any]]:
        """The files of the embedding store; ``derived`` models have fingerprints of floats.

        ``bits`` marks digests of vectors; it is nothing where every machine computes the same.
        """
        found = []
        for path in (self.folder / cache / "embeddings").glob("*.sqlite"):
            with closing(sqlite3.connect(path)) as file:
                ((text,),) = file.execute("SELECT value FROM meta WHERE key = 'namespace'")
                rows = file.execute("SELECT key, vector, checksum FROM embedding ORDER BY key")
                keys, vectors, sums = zip(*rows, strict=True)
            space = json.loads(text)
            own = ":bits" if space["label"] in derived else ""
            fingerprint = space.pop("fingerprint")
            found.append(
                {
                    **space,
                    f"fingerprint{own}": fingerprint,
                    f"file{own}": path.name,
                    "entries": len(keys),
                    "keys": hashlib.sha256(b"".join(keys)).hexdigest()[:24],
                    f"vectors{bits}": hashlib.sha256(b"".join(vectors)).hexdigest()[:24],
                    f"checksums{bits}": _sha(sums),
                }
            )
        return sorted(found, key=lambda file: (file["label"], file["keys"]))

    def shards(
        self, cache: str, derived: tuple[str, ...] = (), bits: str = ":bits"
    ) -> list[dict[str, Any]]:
        """The folders of encoded passages: names, manifests, digests; as :meth:`stored`."""
        found = []
        for path in sorted((self.folder / cache / "shards").glob("*/manifest.json")):
            manifest = json.loads(path.read_text())
            manifest.pop("sha256", None)  # of all that follows, some of it another elsewhere
            own = ":bits" if manifest["encoder"] in derived else ""
            fingerprint = manifest.pop("encoder_fingerprint")
            home, _, key = path.parent.name.rpartition("-")
            found.append(
                {
                    "folder": home,
                    f"key{own}": key,
                    f"encoder_fingerprint{own}": fingerprint,
                    **manifest,
                    "files": sorted(tree(path.parent)),
                    "ids": digest(path.parent / "00000000" / "ids.utf8"),
                    "hashes": digest(path.parent / "00000000" / "hashes.npy"),
                    f"vectors{bits}": digest(path.parent / "00000000" / "vectors.npy"),
                }
            )
        return found

    def tables(self, cache: str) -> list[str]:
        """Files of passages for models that search by themselves."""
        home = self.folder / cache / "corpora"
        return sorted(path.relative_to(home).as_posix() for path in home.rglob("*.arrow"))

    # The runs ---------------------------------------------------------------------------------

    @cached_property
    def added(self) -> list[str]:
        """``hybridir data add`` of the BEIR folder."""
        command = ["data", "add", "PinsBeir", "beir", "--licence", "cc0-1.0"]
        printed = self.hybridir(*command).splitlines()
        path = self.folder / "collections" / "PinsBeir.json"
        kept = json.loads(path.read_text())["collection"]
        return [*printed, *(f"{name}: {kept[name]}" for name in ("revision", "files", "passages"))]

    def toys(self) -> dict[str, Any]:
        """Encoder and search model of the plugin, in all kinds of tasks."""
        found: dict[str, Any] = {"data add": self.added}
        tasks = [*PARALLEL, *STREAMED, "PinsBeir"]
        for model in ("hash", "words"):
            self.mteb(model, f"pins/{model}", *tasks, HYBRIDIR_CACHE_DIR=f"cache-{model}")
            found[f"{model} results"] = self.results(model)
            found[f"{model} predictions"] = self.predictions(model)
        found["stored embeddings"] = self.stored("cache-hash", bits="")
        found["shards"] = self.shards("cache-hash", bits="")
        found["tables"] = self.tables("cache-words")
        search = ["search", "pins/hash"]
        trec = [f"search-parallel/de.{kind}" for kind in ("trec", "qrels")]
        write_languages(self.folder)
        commands = [
            [*search, PARALLEL[2], "--output", "search-parallel", "--depth", "20"],
            [*search, STREAMED[1], "--output", "search-streamed"],
            [*search, STREAMED[1], "--output", "search-half", "--dtype", "float16"],
            [*search, "PinsBeir", "--output", "search-beir"],
            ["search", "pins/words", "PinsBeir", "--output", "search-words"],
            ["bias", *trec, "--doc-lang", "documents.tsv", "--query-lang", "queries.json"],
            ["bias", f"hash/predictions/{PARALLEL[2]}_predictions.json"],
            ["bias", f"hash/predictions/{PARALLEL[2]}_predictions.json", "--format", "json"],
            ["bias", f"words/predictions/{STREAMED[1]}_predictions.json", "--format", "latex"],
            ["report", "hash/out"],
            ["report", "hash/out", "--bias"],
            ["report", "words/out", "--collection", "PinsParallel"],
            ["cache", "info"],
        ]
        printed = self.many(commands, HYBRIDIR_CACHE_DIR="cache-hash")
        found["printed"] = {
            " ".join(command): lines for command, lines in zip(commands, printed, strict=True)
        }
        for place in ("parallel", "streamed", "half", "beir", "words"):
            found[f"search {place}"] = self.searched(f"search-{place}")
        return found

    def debiasing(self) -> dict[str, Any]:
        """Debiasers for the plugin's encoder, their statistics, and a run with one of them."""
        texts = write_lines_of_text(self.folder)
        fit = ["debias", "fit", "--model", "pins/hash"]
        for method in ("centre", "shift"):
            fit += ["--method", method]
        for code in texts:
            fit += ["--text", f"{code}=text-{code}.txt"]
        cache = {"HYBRIDIR_CACHE_DIR": "cache-debiased", "HYBRIDIR_MODEL_STORE": "debiased"}
        printed = self.hybridir(*fit, **cache, **NOTHING_ADDED).splitlines()
        records = sorted((self.folder / "debiased").glob("*hash+*/*/hybridir.json"))
        self.mteb("fitted", "hybridir/pins__hash+centre", PARALLEL[2], STREAMED[1], **cache)
        return {
            "printed": printed,
            "records": {p.parent.parent.name: settled(unsealed(p)) for p in records},
            "files": {p.parent.parent.name: sorted(tree(p.parent)) for p in records},
            "results": self.results("fitted"),
            "stored embeddings": self.stored("cache-debiased", bits=""),
            "shards": self.shards("cache-debiased", bits=""),
        }

    def exports(self) -> dict[str, Any]:
        """``hybridir export`` in its three formats, of three kinds of collections."""
        self.added  # noqa: B018 -- runs it
        tasks = {"PinsBeir": [], PARALLEL[1]: ["--subset", "de-fr"], STREAMED[1]: []}
        tasks |= {POCKET[2]: ["--subset", "de"], POCKET[0]: ["--subset", "th", "--subset", "zh"]}
        commands = [
            ["export", kind, task, f"export-{kind}-{task}", *more]
            for kind in ("beir", "trec", "jsonl")
            for task, more in tasks.items()
        ]
        printed = self.many(commands)
        return {
            " ".join(command): {"printed": lines, "files": tree(self.folder / command[3])}
            for command, lines in zip(commands, printed, strict=True)
        }

    def beir(self) -> dict[str, Any]:
        """BEIR's side: our encoder and search on its dictionaries."""
        command = [sys.executable, "-c", EXACT_SEARCH, "beir", "pins/hash"]
        return {"dot": json.loads(self.run(*command, "dot", HYBRIDIR_CACHE_DIR="cache-beir"))}

    def miracl(self) -> dict[str, Any]:
        """MIRACL's own format, and a pool of two of its languages."""
        assert self.mirror is not None
        for code in ("sw", "yo"):
            write_miracl(self.folder / "mirror", self.mirror, code)
        own = {"HYBRIDIR_CACHE_DIR": "cache-miracl", "HYBRIDIR_DATA_DIR": "mirror"}
        own["HYBRIDIR_COLLECTIONS"] = "pools"
        pool = self.hybridir("data", "pool", "MIRACL", "yo", "sw", **own).splitlines()
        tasks = ("MIRACLMonolingualRetrieval", "MIRACLSwYoMultilingualRetrieval")
        self.mteb("miracl", "pins/hash", *tasks, "-l", "swa", "yor", **own)
        bias = self.hybridir("bias", f"miracl/predictions/{tasks[1]}_predictions.json", **own)
        return {
            "data pool": pool,
            "results": self.results("miracl"),
            "predictions": self.predictions("miracl"),
            "shards": self.shards("cache-miracl", bits=""),
            "bias": [line.rstrip() for line in bias.splitlines()],
        }

    def pocket(self) -> dict[str, Any]:
        """Two encoders of the package in the three settings, and what is kept of them."""
        self.added  # noqa: B018 -- runs it
        found: dict[str, Any] = {}
        for place, model in (("base", BASE), ("debiased", DEBIASED)):
            self.mteb(place, model, POCKET[0], POCKET[2], "PinsBeir")
            script = Path(sys.executable).with_name("mteb")
            command = [script, "run", "-m", model, "-t", POCKET[1]]
            self.run(*command, "--output-folder", f"{place}/out")
            found[f"{place} results"] = self.results(place)
            found[f"{place} predictions"] = self.predictions(place, ":bits")
        commands = [
            ["search", "bert", "PinsBeir", "--output", "search-bert"],
            ["report", "base/out"],
            ["report", "debiased/out"],
            ["report", "base/out", "--bias"],
        ]
        for command, lines in zip(commands, self.many(commands), strict=True):
            found[" ".join(command)] = lines
        found["search bert"] = self.searched("search-bert", ":bits")
        derived = ("hybridir/pocket-hybrid", DEBIASED)
        found["stored embeddings"] = self.stored("cache", derived)
        found["shards"] = self.shards("cache", derived)
        return found

    def training(self) -> dict[str, Any]:
        """Five steps on the pocket backbone, and an evaluation of what comes out."""
        self.added  # noqa: B018 -- runs it
        write_parallel(self.folder / "train.jsonl")
        flags = "--backbone pocket --method hybrid --data train.jsonl --steps 5 --batch-size 8"
        cache = {"HYBRIDIR_CACHE_DIR": "cache-trained", "HYBRIDIR_MODEL_STORE": "trained-encoders"}
        flags += " --precision fp32"
        self.hybridir("train", *flags.split(), plugin=False, **cache, **NOTHING_ADDED)
        (path,) = (self.folder / "trained-encoders").glob("pocket-hybrid/*/hybridir.json")
        home, record = path.parent, unsealed(path)
        self.mteb("trained", "hybridir/pocket-hybrid", POCKET[0], "PinsBeir", "-l", "eng", **cache)
        derived = ("hybridir/pocket-hybrid",)
        return {
            "fingerprint:bits": record.pop("fingerprint"),
            "digests:bits": record.pop("files"),
            "record": settled(record),
            "files": sorted(tree(home)),
            "weights:bits": digest(home / "adapter_model.safetensors"),
            "results": self.results("trained", home.name),
            "report": self.hybridir("report", "trained/out").splitlines(),
            "stored embeddings": self.stored("cache-trained", derived),
            "shards": self.shards("cache-trained", derived),
        }

    def surface(self) -> dict[str, Any]:
        """What can be seen from outside: help texts, names, tasks, encoders."""
        groups = [line.split() for line in COMMANDS.split("|")]
        helps = [[], *([g[0], *name] for g in groups for name in ([], *([n] for n in g[1:])))]
        commands = [[*command, "--help"] for command in helps]
        commands += [["tasks"], ["models", "list"], ["debias", "methods"]]
        printed = self.many(commands, plugin=False, **NOTHING_ADDED)
        face = json.loads(self.run(sys.executable, "-c", FACE, plugin=False))
        return {
            **face,
            "printed": {
                f"hybridir {' '.join(c)}": lines for c, lines in zip(commands, printed, strict=True)
            },
        }

    def probe(self) -> str:
        """Embeddings of three texts: what tells processors apart."""
        return self.run(sys.executable, "-c", PROBE, plugin=False).strip()

    def encoded_anew(self, cache: Path) -> list[str]:
        """What the toy encoder is asked for where a copied cache has all embeddings."""
        shutil.copytree(cache, self.folder / "cache-kept")
        log = self.folder / "encoded.txt"
        own = {"HYBRIDIR_CACHE_DIR": "cache-kept", "PINS_LOG": str(log)}
        self.mteb("kept", "pins/hash", *PARALLEL, *STREAMED, **own)
        return log.read_text().splitlines() if log.exists() else []


GROUPS: dict[str, Callable[[Runs], dict[str, Any]]] = {
    "surface": Runs.surface,
    "toys": Runs.toys,
    "debiasing": Runs.debiasing,
    "exports": Runs.exports,
    "beir": Runs.beir,
    "miracl": Runs.miracl,
    "pocket": Runs.pocket,
    "training": Runs.training,
}
NEEDS_NETWORK_FLOATS = {"pocket", "training"}


def _sha(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]


# Data -----------------------------------------------------------------------------------------


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def made_up(n: int, *seed: Any) -> str:
    """Words of a vocabulary of twelve."""
    from end_to_end.pins_plugin import number

    return " ".join(f"w{number(*seed, at) % 12}" for at in range(n))


def write_beir(folder: Path) -> None:
    """Sixty passages with titles, twelve queries; ids of the two collide, texts repeat."""
    corpus = [
        {"_id": str(at), "title": f"w{at % 5}" if at % 3 else "", "text": made_up(3, "p", at)}
        for at in range(60)
    ]
    write_lines(folder / "corpus.jsonl", corpus)
    queries = [{"_id": str(at), "text": made_up(3, "p", 4 * at)} for at in range(12)]
    write_lines(folder / "queries.jsonl", queries)
    lines = [f"{at}\t{4 * at + step}\t{2 - step}\n" for at in range(12) for step in range(3)]
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))


def write_languages(folder: Path) -> None:
    """Languages of the parallel collection's passages, and of its German queries."""
    documents = [
        f"p:{code}:f{fact}.{kind}\t{code}\n"
        for code in ("de", "en", "fr")
        for fact in range(10 - (code == "fr"))
        for kind in range(2)
    ]
    (folder / "documents.tsv").write_text("".join(documents))
    (folder / "queries.json").write_text(json.dumps({f"q:de:f{at}": "de" for at in range(10)}))


def write_lines_of_text(folder: Path) -> tuple[str, ...]:
    """Thirty lines in each of the toys' languages."""
    from end_to_end.pins_plugin import PARALLEL, STREAMED, words

    for code in (*PARALLEL, *STREAMED):
        lines = [words(code, 5, "text", at) + "\n" for at in range(30)]
        (folder / f"text-{code}.txt").write_text("".join(lines))
    return (*PARALLEL, *STREAMED)


def write_miracl(folder: Path, mirror: Path, code: str) -> None:
    """The official topics and qrels of dev, and a made-up corpus of sixty passages."""
    place = Path("miracl") / f"miracl-v1.0-{code}"
    for part in ("topics", "qrels"):
        (folder / place / part).mkdir(parents=True)
        shutil.copy(
            mirror / place / part / f"{part}.miracl-v1.0-{code}-dev.tsv", folder / place / part
        )
    lines = (folder / place / "qrels" / f"qrels.miracl-v1.0-{code}-dev.tsv").read_text().split("\n")
    judged = list(dict.fromkeys(line.split("\t")[2] for line in lines if line))[:60]
    rows = [
        {"docid": key, "title": f"w{at % 7}", "text": made_up(6, code, at)}
        for at, key in enumerate(judged)
    ]
    corpus = folder / "miracl" / f"miracl-corpus-v1.0-{code}"
    corpus.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (corpus / "docs-0.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def write_parallel(path: Path) -> None:
    """Training data: forty items in three made-up languages."""
    from end_to_end.pins_plugin import words

    rows = []
    for item in range(40):
        for code in ("de", "en", "fr"):
            text = words(code, 8, "train", item)
            query = " ".join(text.split()[:3])
            rows.append({"id": f"i{item}", "language": code, "query": query, "passage": text})
    write_lines(path, rows)


def write_bert(folder: Path) -> None:
    """A sentence-transformers folder: two layers of BERT with weights that are whole 64ths."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    network = folder.with_name("bert-network")
    network.mkdir()
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{at}" for at in range(12))]
    (network / "vocab.txt").write_text("\n".join(entries) + "\n")
    BertTokenizerFast(str(network / "vocab.txt")).save_pretrained(network)
    config = BertConfig(
        vocab_size=len(entries),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    model = BertModel(config)
    with torch.no_grad():
        for at, (name, weight) in enumerate(sorted(model.named_parameters())):
            if "LayerNorm" not in name:
                count = torch.arange(weight.numel(), dtype=torch.int64)
                weight.copy_(((count * (2 * at + 37) % 101 - 50) / 64).reshape(weight.shape))
    model.save_pretrained(network)
    transformer = Transformer(str(network))
    pooling = Pooling(config.hidden_size)
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder))
