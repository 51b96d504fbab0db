"""``hybridir models ...``: what encoders there are, and the store of trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridir_mteb.cli.console import print_table, say, say_text
from hybridir_mteb.paths import with_home

models_app = typer.Typer(
    help="Encoders: those of plugins and those trained here.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="Name, as 'hybridir models list' shows.")]
Revision = Annotated[str | None, typer.Option(help="Fingerprint, or its first characters.")]


@models_app.command("list")
def list_(
    trainable: Annotated[
        bool, typer.Option("--trainable", help="Also names that could be trained or fitted.")
    ] = False,
) -> None:
    """List encoders; mteb run -m NAME evaluates one."""
    from hybridir_mteb.cli.listing import MODEL_COLUMNS, model_rows

    print_table("Encoders (mteb run -m NAME)", MODEL_COLUMNS, model_rows(trainable))


@models_app.command()
def show(name: Name, revision: Revision = None) -> None:
    """Show the card of a trained encoder."""
    from hybridir_mteb.encoders.trained import CARD, get
    from hybridir_mteb.files import check_regular

    encoder = get(name, revision)
    say(str(encoder.path), wrap=True)
    card = encoder.path / CARD
    check_regular(card)
    say_text(card.read_text(encoding="utf-8", errors="backslashreplace"))


@models_app.command()
def export(
    name: Name,
    target: Annotated[Path, typer.Argument(help="Zip archive to write.")],
    revision: Revision = None,
) -> None:
    """Write a trained encoder as one file."""
    from hybridir_mteb.encoders.trained import export as write
    from hybridir_mteb.encoders.trained import get

    say(str(write(get(name, revision), with_home(target))), wrap=True)


@models_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Exported zip archive, or an encoder's folder.")],
    over_shipped: Annotated[
        bool, typer.Option("--over-shipped", help="Hide an encoder of the package of this name.")
    ] = False,
) -> None:
    """Take an encoder into the store, its weights checked against their fingerprint."""
    from hybridir_mteb.encoders.trained import import_encoder

    encoder = import_encoder(with_home(source), over_shipped=over_shipped)
    say(f"{encoder.name} {encoder.fingerprint}", wrap=True)


@models_app.command()
def rm(name: Name, revision: Revision = None) -> None:
    """Delete a trained encoder from the store."""
    from hybridir_mteb.encoders.trained import remove

    for encoder in remove(name, revision):
        say(f"removed {encoder.path}", wrap=True)


@models_app.command()
def push(
    name: Name,
    to: Annotated[str, typer.Option(help="Repository on the hub: owner/name.")],
    revision: Revision = None,
    private: Annotated[bool, typer.Option(help="Make a new repository private.")] = True,
) -> None:
    """Upload a trained encoder to the hub, with your own token."""
    from hybridir_mteb.encoders.hub import to_hub
    from hybridir_mteb.encoders.trained import get

    say(to_hub(get(name, revision), to, private=private), wrap=True)
