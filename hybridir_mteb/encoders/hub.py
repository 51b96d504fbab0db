"""Trained encoders on the hub: fetched into the store, or uploaded from it."""

from __future__ import annotations

from pathlib import Path

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.archive import ALLOWED
from hybridir_mteb.errors import DataUnavailableError, one_line
from hybridir_mteb.plugins.names import check_encoder_name


def from_hub(name: str, revision: str | None) -> trained.StoredEncoder:
    """Fetch an encoder from the hub into the store.

    Raises:
        DataUnavailableError: It is not there, or the hub cannot be reached.
    """
    check_encoder_name(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        folder = snapshot_download(name, allow_patterns=[f"*{s}" for s in sorted(ALLOWED)])
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        backbone, _, method = name.partition("/")[2].rpartition("-")
        which = f" with revision {revision}" if revision else ""
        raise DataUnavailableError(
            f"{name}{which} is not in the store, not in the package, and not on the hub "
            f"({one_line(error, 200)}). Train it: hybridir train --backbone {backbone} "
            f"--method {method}; or take it over from another machine: hybridir models import FILE"
        ) from error
    found = trained.read_encoder(Path(folder)).fingerprint
    if not found.startswith(revision or ""):
        raise DataUnavailableError(f"{name}: the hub has the revision {found}, not {revision}")
    return trained.import_encoder(Path(folder), links=True)


def to_hub(encoder: trained.StoredEncoder, repository: str, *, private: bool) -> str:
    """Upload an encoder's folder; returns the address of the commit.

    Raises:
        DataUnavailableError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    trained.verify(encoder)
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=encoder.path)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise DataUnavailableError(
            f"{repository}: the upload failed: {one_line(error, 300)}. Check the "
            "network and your token (hf auth login)"
        ) from error
    return str(done)
