"""Experiment: what decoders of 7B and 70B cost on one GPU of 80 GB, in nine minutes at most.

python docs/experiments/gpu_check.py [--rehearse]

No network is needed: the weights have real shapes and are random, so this says what training,
encoding and searching take and whether ranks are those of a CPU, and nothing about quality. A part
that fails is written down with its error, and the others go on. ``--rehearse`` runs the same code
with tiny shapes on a CPU in less than a minute.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance

from hybridir_mteb.errors import described
from hybridir_mteb.files import write_text

OUTPUT = RESULTS / "gpu-check.json"
REHEARSED = RESULTS / "gpu-rehearsal.json"
PACKAGES = ("accelerate", "bitsandbytes", "faiss-cpu", "peft")
SOFT = 0.6  # of a part's time, after which it begins nothing more


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Within the block a TimeoutError comes when the time is over."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def measured(part: Callable[..., dict[str, Any]], sizes: Any, seconds: int) -> dict[str, Any]:
    """What a part found, or why it found nothing; and how long it took."""
    begun = time.monotonic()
    try:
        with limited(seconds):
            found = part(sizes, begun + SOFT * seconds)
    except Exception as error:  # noqa: BLE001 -- the other parts go on
        found = {"error": described(error)}
    return {**found, "seconds_in_all": round(time.monotonic() - begun, 1)}


def check(
    parts: Mapping[str, tuple[Callable[..., dict[str, Any]], int]],
    sizes: Any,
    about: dict[str, Any],
    output: Path,
) -> dict[str, Any]:
    """Measure the parts one after the other; the file is written after each.

    Args:
        parts: Name -> part and its seconds.
        sizes: What the parts are given.
        about: ``made_by``, and what was ``predicted``.
        output: The file.
    """
    report: dict[str, Any] = {**about, "parts": {}}
    for name, (part, seconds) in parts.items():
        print(f"{name} …", flush=True)
        report["parts"][name] = measured(part, sizes, seconds)
        write_text(output, json.dumps(report, indent=1) + "\n")
        print(json.dumps(report["parts"][name]), flush=True)
    return report


def gpu() -> dict[str, Any]:
    """The GPU and its driver."""
    import torch

    known = torch.cuda.get_device_properties(0)
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return {
        "name": known.name,
        "memory_gb": round(known.total_memory / 1e9, 1),
        "driver": done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown",
        "cuda": torch.version.cuda,
    }


def main() -> None:
    """Check the GPU, or rehearse."""
    rehearse = sys.argv[1:] == ["--rehearse"]
    if sys.argv[1:] and not rehearse:
        sys.exit(__doc__)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    if not rehearse and not torch.cuda.is_available():
        sys.exit("no GPU here: gpu_check.py --rehearse runs the same code on the CPU")
    from gpu_parts import PARTS, REAL, REHEARSAL, predicted

    made_by = provenance(f"make gpu-{'rehearsal' if rehearse else 'check'}", PACKAGES)
    if not rehearse:
        made_by["machine"]["card"] = gpu()
    with tempfile.TemporaryDirectory() as store:  # nothing of the user's is written to
        os.environ["HYBRIDIR_MODEL_STORE"] = os.environ["HYBRIDIR_CACHE_DIR"] = store
        sizes, output = (REHEARSAL, REHEARSED) if rehearse else (REAL, OUTPUT)
        about = {"made_by": made_by, "predicted": predicted()}
        report = check(PARTS, sizes, about, output)
    failed = [name for name, found in report["parts"].items() if "error" in found]
    print(f"{output}: {', '.join(failed) or 'no part'} failed")


if __name__ == "__main__":
    main()
