"""Where data and caches live, by environment variable or by the platform's custom."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from hybridir_mteb.errors import SettingError, printable, quoted
from hybridir_mteb.files.numbers import written_number, written_whole

PACKAGE = Path(__file__).parent
DATA = PACKAGE / "data"  # what ships with the package

DATA_DIR_VARIABLE = "HYBRIDIR_DATA_DIR"
CACHE_DIR_VARIABLE = "HYBRIDIR_CACHE_DIR"
COLLECTIONS_VARIABLE = "HYBRIDIR_COLLECTIONS"
MODEL_STORE_VARIABLE = "HYBRIDIR_MODEL_STORE"
STORE_VARIABLE = "HYBRIDIR_EMBEDDING_STORE"
STORE_LIMIT_VARIABLE = "HYBRIDIR_EMBEDDING_STORE_GB"
DEFAULT_STORE_LIMIT_GB = 10.0
SHARD_DIR_VARIABLE = "HYBRIDIR_SHARD_DIR"
SHARD_DTYPE_VARIABLE = "HYBRIDIR_SHARD_DTYPE"
BY_QUERY_VARIABLE = "HYBRIDIR_SCORES_BY_QUERY"
SWITCH = dict.fromkeys(("1", "true", "on", "yes"), True)
SWITCH |= dict.fromkeys(("0", "false", "off", "no"), False)
SHARD_DTYPES = ("float32", "float16")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://")
_FOLDERS = {"file", "local"}  # protocols of URLs that are folders of this machine
ENGINE_VARIABLE = "HYBRIDIR_ENGINE"
PROBE_VARIABLE = "HYBRIDIR_PROBE"
PRODUCTS_VARIABLE = "HYBRIDIR_PRODUCTS"
BATCH_VARIABLE = "HYBRIDIR_TOKEN_BUDGET"
ENGINES = ("transformers", "openvino", "vllm")
PRODUCTS = ("blas", "onednn")


def with_home(path: str | Path, named: str = "") -> Path:
    """A path whose ``~`` or ``~user`` is the home it stands for.

    Args:
        path: As a user gives it.
        named: The variable or option that gives it, for the message.

    Raises:
        SettingError: There is no such user, or nobody knows the home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        given = f"{named}={path}" if named else str(path)
        raise SettingError(
            f"{printable(given)}: the home folder that ~ stands for is not known; give the path "
            "from / on"
        ) from error


def _named(variable: str) -> Path | None:
    """The folder that an environment variable names."""
    value = os.environ.get(variable)
    return with_home(value, variable) if value else None


def _switch(variable: str) -> bool:
    """Whether a variable switches on; so it is if it is not set."""
    raw = os.environ.get(variable) or "1"
    if raw.lower() not in SWITCH:
        raise SettingError(f"{variable}={quoted(raw, 80)}: expected 0 or 1")
    return SWITCH[raw.lower()]


def _data_dir() -> Path:
    return Path(platformdirs.user_data_dir("hybridir-mteb"))


def mirror_dir() -> Path | None:
    """The local mirror of the data, if ``HYBRIDIR_DATA_DIR`` names one."""
    return _named(DATA_DIR_VARIABLE)


def cache_dir() -> Path:
    """The package's cache: ``HYBRIDIR_CACHE_DIR``, else the platform's place for caches."""
    return _named(CACHE_DIR_VARIABLE) or Path(platformdirs.user_cache_dir("hybridir-mteb"))


def data_cache_dir() -> Path:
    """Downloaded data files."""
    return cache_dir() / "data"


def corpora_dir() -> Path:
    """Passages as Arrow tables, for models that bring their own search."""
    return cache_dir() / "corpora"


def backbones_dir() -> Path:
    """Networks that were unpacked from packages."""
    return cache_dir() / "backbones"


def probes_dir() -> Path:
    """What was measured of the processor, by processor and shape of the encoder."""
    return cache_dir() / "processors"


def held_out_dir() -> Path:
    """Scores of backbones on held-out documents, which runs share."""
    return cache_dir() / "held-out"


def digests_file() -> Path:
    """Remembered checksums of large files."""
    return cache_dir() / "digests.json"


def collections_dir() -> Path:
    """Collections that the user added: ``HYBRIDIR_COLLECTIONS``, else the platform's place."""
    return _named(COLLECTIONS_VARIABLE) or _data_dir() / "collections"


def model_store_dir() -> Path:
    """Trained encoders: ``HYBRIDIR_MODEL_STORE``, else the platform's place for data."""
    return _named(MODEL_STORE_VARIABLE) or _data_dir() / "encoders"


def embedding_store_dir() -> Path:
    """The on-disk embedding store."""
    return cache_dir() / "embeddings"


def embedding_store_enabled() -> bool:
    """Whether embeddings are kept on disk; ``HYBRIDIR_EMBEDDING_STORE=0`` switches it off.

    Raises:
        SettingError: The variable holds neither 0 nor 1, nor a word for them.
    """
    return _switch(STORE_VARIABLE)


def embedding_store_limit() -> int:
    """Largest size of the embedding store in bytes (``HYBRIDIR_EMBEDDING_STORE_GB``).

    Raises:
        SettingError: The variable does not hold a positive number.
    """
    raw = os.environ.get(STORE_LIMIT_VARIABLE, str(DEFAULT_STORE_LIMIT_GB))
    gigabytes = written_number(raw)
    if gigabytes is None or gigabytes <= 0:
        raise SettingError(
            f"{STORE_LIMIT_VARIABLE}={quoted(raw, 80)}: expected a positive number of gigabytes"
        )
    return int(gigabytes * 1e9)


def shard_dir() -> Path:
    """Encoded passages of large collections: ``HYBRIDIR_SHARD_DIR``, else in the cache.

    If the variable holds a URL, those in the cache are copies.
    """
    value = os.environ.get(SHARD_DIR_VARIABLE) or ""
    if found := _URL.match(value):
        if found[1] in _FOLDERS:
            return with_home(value.removeprefix(found[0]), SHARD_DIR_VARIABLE)
        return cache_dir() / "shards"
    return _named(SHARD_DIR_VARIABLE) or cache_dir() / "shards"


def shard_url() -> str | None:
    """Where encoded passages are shared, if ``HYBRIDIR_SHARD_DIR`` holds such as ``s3://…``."""
    value = os.environ.get(SHARD_DIR_VARIABLE) or ""
    found = _URL.match(value)
    return value.rstrip("/") if found and found[1] not in _FOLDERS else None


def shard_dtype() -> str:
    """Number format of encoded passages (``HYBRIDIR_SHARD_DTYPE``); float32 by default.

    Raises:
        SettingError: The variable holds neither ``float32`` nor ``float16``.
    """
    value = os.environ.get(SHARD_DTYPE_VARIABLE) or SHARD_DTYPES[0]
    if value not in SHARD_DTYPES:
        raise SettingError(
            f"{SHARD_DTYPE_VARIABLE}={quoted(value, 80)}: expected one of {', '.join(SHARD_DTYPES)}"
        )
    return value


def engine(asked: str | None = None) -> str:
    """What computes embeddings: as asked, else by ``HYBRIDIR_ENGINE``, else ``transformers``.

    Args:
        asked: An argument that goes before the variable.

    Raises:
        SettingError: There is no such engine.
    """
    value = asked or os.environ.get(ENGINE_VARIABLE) or ENGINES[0]
    if value not in ENGINES:
        named = "engine" if asked else ENGINE_VARIABLE
        raise SettingError(f"{named}={quoted(value, 80)}: expected one of {', '.join(ENGINES)}")
    return value


def by_query_enabled() -> bool:
    """Whether tasks keep scores by query; ``HYBRIDIR_SCORES_BY_QUERY=0`` switches it off.

    Raises:
        SettingError: The variable holds neither 0 nor 1, nor a word for them.
    """
    return _switch(BY_QUERY_VARIABLE)


def probe_enabled() -> bool:
    """Whether the processor is measured; ``HYBRIDIR_PROBE=0`` takes fixed values instead.

    Raises:
        SettingError: The variable holds neither 0 nor 1, nor a word for them.
    """
    return _switch(PROBE_VARIABLE)


def products() -> str | None:
    """What multiplies float32, by ``HYBRIDIR_PRODUCTS``; None if it is not set.

    Raises:
        SettingError: The variable names neither of the two libraries.
    """
    raw = os.environ.get(PRODUCTS_VARIABLE)
    if raw in PRODUCTS:
        return raw
    if not raw:
        return None
    raise SettingError(f"{PRODUCTS_VARIABLE}={quoted(raw, 80)}: expected {' or '.join(PRODUCTS)}")


def token_budget() -> int | None:
    """Tokens of a batch by ``HYBRIDIR_TOKEN_BUDGET``; None if it is not set.

    Raises:
        SettingError: The variable does not hold a positive whole number.
    """
    raw = os.environ.get(BATCH_VARIABLE)
    if not raw:
        return None
    found = written_whole(raw)
    if found is None or found < 1:
        raise SettingError(
            f"{BATCH_VARIABLE}={quoted(raw, 80)}: expected the number of tokens of a batch"
        )
    return found
