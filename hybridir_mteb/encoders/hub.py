"""Trained encoders on the hub: fetched into the store, or uploaded from it."""

from __future__ import annotations

from pathlib import Path

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.archive import ALLOWED
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.files.remote import CONNECT, LOGIN, reached
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.names import check_encoder_name


def from_hub(name: str, revision: str | None) -> trained.StoredEncoder:
    """Fetch an encoder from the hub into the store.

    Raises:
        DataUnavailableError: It is not there, or the hub cannot be reached.
    """
    check_encoder_name(name)
    from huggingface_hub import snapshot_download

    backbone, method = parts_of(name)
    which = f" with revision {revision}" if revision else ""
    missing = f"{name}{which} is not in the store, not in the package, and not to be had on the hub"
    command = f"hybridir train --backbone {backbone} --method {method}"
    train = f"train it ({command}; with --dry-run it says what that takes)"
    take = "take it over from another machine: hybridir models import FILE"
    with reached(missing, f"{train}, or {take}"):
        folder = snapshot_download(name, allow_patterns=[f"*{s}" for s in sorted(ALLOWED)])
    found = trained.read_encoder(Path(folder)).fingerprint
    if not found.startswith(revision or ""):
        raise DataUnavailableError(f"{name}: the hub has the revision {found}, not {revision}")
    return trained.import_encoder(Path(folder), links=True)


def parts_of(name: str) -> tuple[str, str]:
    """Backbone and method of an encoder's name; both may have hyphens, so a known method is it."""
    whole = name.partition("/")[2]
    known = [method for method in installed_plugins().methods if whole.endswith(f"-{method}")]
    method = max(known, key=len, default=whole.rpartition("-")[2])
    return whole.removesuffix(f"-{method}"), method


def to_hub(encoder: trained.StoredEncoder, repository: str, *, private: bool) -> str:
    """Upload an encoder's folder; returns the address of the commit.

    Raises:
        DataUnavailableError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    trained.verify(encoder)
    with reached(f"{repository}: the upload failed", remedy=f"{CONNECT}, and {LOGIN}"):
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=encoder.path))
