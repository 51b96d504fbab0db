"""``hybridir debias ...``: training-free debiasing of any encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridir_mteb.cli.console import print_table, rows_of, say
from hybridir_mteb.cli.encode import Precision
from hybridir_mteb.cli.numbers import integer
from hybridir_mteb.errors import SettingError, quoted

debias_app = typer.Typer(help="Training-free debiasing of any encoder.", no_args_is_help=True)


def _pairs(values: list[str], option: str, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in values:
        name, sign, value = pair.partition("=")
        if not (name and sign and value):
            raise SettingError(f"{option} {quoted(pair)}: expected {example}")
        if name in found:
            raise SettingError(f"{option} gives {name} twice: {found[name]} and {value}")
        found[name] = value
    return found


@debias_app.command()
def fit(
    model: Annotated[
        str,
        typer.Option(
            help="Name that mteb knows, folder of a sentence-transformers model, or hub id."
        ),
    ],
    method: Annotated[
        list[str], typer.Option(help="Name of a debiaser, as 'hybridir debias methods' shows.")
    ],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="NAME=VALUE of the method, or NAME=auto, repeatable."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="CODE=FILE: one text a line; once for each language. Default: NTREX-128."
        ),
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Codes, separated by commas. Default: all the text has.")
    ] = None,
    lines: Annotated[
        int, typer.Option(parser=integer, help="Largest number of lines of each language.")
    ] = 1000,
    precision: Precision = None,
    device: Annotated[str | None, typer.Option(help="Torch device.")] = None,
    allow_leaks: Annotated[
        bool,
        typer.Option("--allow-leaks", help="Fit on evaluation data; written into the metadata."),
    ] = False,
) -> None:
    """Fit debiasers and put the debiased encoders into the store, where mteb run -m finds them."""
    from hybridir_mteb.adapters.mteb.fit import FitRequest, make_debiased
    from hybridir_mteb.debias.text import file_text, ntrex_text
    from hybridir_mteb.encoders.threads import use_free_cores

    codes = [code for code in map(str.strip, (languages or "").split(",")) if code]
    if languages is not None and not codes:
        raise SettingError(f"--languages {quoted(languages)} names no language: expected de,en")
    files = {c: Path(f) for c, f in _pairs(text or [], "--text", "CODE=FILE").items()}
    chosen = file_text(files, codes, lines) if files else ntrex_text(codes, lines)
    options = _pairs(option or [], "--option", "NAME=VALUE, such as k=2")
    methods = list(dict.fromkeys(method))
    asked = FitRequest(model, methods, options, precision, device, allow_leaks)
    use_free_cores()
    made = make_debiased(asked, chosen)
    for encoder in made:
        say(f"{encoder.name} {encoder.fingerprint}")
        if chose := encoder.record["debiaser"].get("choice"):
            say(f"{chose['option']}={chose['value']} by {chose['held_out_lines']} held-out lines")
    missing = made[0].record["leak_check"]["not_at_hand"]
    if missing:
        say(f"not compared with: {', '.join(missing)}, which are not at hand (hybridir data)")


@debias_app.command()
def methods() -> None:
    """List debiasers; an encoder is named hybridir/<base>+<debiaser>."""
    from hybridir_mteb.installed import installed_plugins

    registry = installed_plugins().debiasers
    print_table(
        "Debiasers (hybridir debias fit --method NAME)",
        ("name", "what it does", "options", "applied to", "source", "plugin"),
        rows_of(
            registry.items(),
            lambda name, debiaser: [
                (
                    name,
                    debiaser.summary,
                    ", ".join(f"{key}={value}" for key, value in debiaser.options.items()),
                    ", ".join(sorted(debiaser.roles)),
                    debiaser.source,
                    registry.owner(name),
                )
            ],
        ),
    )
