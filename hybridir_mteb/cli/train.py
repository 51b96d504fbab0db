"""``hybridir train``: a recipe file, flags, or both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridir_mteb.cli.console import print_table, say
from hybridir_mteb.cli.numbers import float_, integer
from hybridir_mteb.cli.plan import show
from hybridir_mteb.errors import HybridIRError, SettingError, quoted
from hybridir_mteb.files.numbers import written_number, written_whole

if TYPE_CHECKING:
    from hybridir_mteb.encoders.threads import Threads
    from hybridir_mteb.plugins.settings import OptionValue
    from hybridir_mteb.training.plan import Plan


def _value(text: str) -> OptionValue:
    """A method option from the command line: a number if it is one."""
    if "," in text:
        return tuple(part.strip() for part in text.split(","))
    for found in (written_whole(text), written_number(text)):
        if found is not None:
            return found
    return text


def _options(pairs: list[str]) -> dict[str, OptionValue] | None:
    found: dict[str, OptionValue] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise SettingError(
                f"--option {quoted(pair, 80)}: expected NAME=VALUE, such as alpha=0.3"
            )
        found[name] = _value(value)
    return found or None


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            help="YAML or TOML file, or a recipe of the package, such as pocket-hybrid."
        ),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Name in the table of backbones.")] = None,
    method: Annotated[str | None, typer.Option(help="Name of a training method.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Local folder or hub id of the backbone's weights.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of weights on the hub.")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="JSON lines file or folder; may be repeated. Default: NTREX-128."),
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Codes, separated by commas. Default: all the data have.")
    ] = None,
    steps: Annotated[int | None, typer.Option(parser=integer, help="Optimiser steps.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(parser=integer, help="Pairs of one device and step.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(parser=float_, help="Largest learning rate.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    seed: Annotated[
        int | None, typer.Option(parser=integer, help="Seed of everything random.")
    ] = None,
    report_to: Annotated[
        list[str] | None, typer.Option(help="Where to log besides the record: tensorboard.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="NAME=VALUE of the method, repeatable.")
    ] = None,
    allow_leaks: Annotated[
        bool | None,
        typer.Option("--allow-leaks", help="Train on evaluation data; written into the metadata."),
    ] = None,
    trust_remote_code: Annotated[
        bool | None,
        typer.Option("--trust-remote-code", help="Run code that comes with the weights."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print plan, steps and memory; train nothing.")
    ] = False,
) -> None:
    """Train an encoder and put it into the store, where mteb run -m finds it.

    Runs unchanged under accelerate launch and torchrun. A killed run goes on when the same command
    is given again.
    """
    from hybridir_mteb.adapters.mteb.load import pinned_revision
    from hybridir_mteb.encoders.threads import choose, use_free_cores
    from hybridir_mteb.training.plan import make_plan
    from hybridir_mteb.training.recipe import make_recipe, read_recipe

    changes: dict[str, Any] = {
        "backbone": backbone,
        "method": method,
        "weights": weights,
        "revision": revision,
        "data": [{"kind": "jsonl", "path": str(path)} for path in data or []] or None,
        "languages": languages.split(",") if languages else None,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "precision": precision,
        "seed": seed,
        "report_to": report_to or None,
        "method_options": _options(option or []),
        "allow_leaks": allow_leaks,
        "trust_remote_code": trust_remote_code,
    }
    if recipe is None and not (backbone and method):
        raise SettingError("give a recipe file, or --backbone and --method")
    chosen = read_recipe(recipe, **changes) if recipe else make_recipe(changes, "command line")
    if not dry_run:  # before the data are read, since an extra may be missing
        from hybridir_mteb.training.run import train as run
    plan = make_plan(chosen, pinned=pinned_revision)
    threads = choose()
    if os.environ.get("RANK", "0") == "0":
        _show(plan, threads)
    if dry_run:
        _show_plan(plan)
        return
    use_free_cores(threads)
    from accelerate import PartialState

    try:
        encoder = run(plan)
    finally:  # gloo's threads abort an interpreter that ends with its process group
        PartialState().destroy_process_group()
    if encoder is not None:
        say(f"{encoder.name} {encoder.fingerprint}")
        say(str(encoder.path))
        say(f"Evaluate it: mteb run -m {encoder.name} -t XQuADRMultilingualRetrieval")


def _processes() -> int:
    """How many processes train together, as torchrun tells each of them."""
    raw = os.environ.get("WORLD_SIZE", "1")
    found = written_whole(raw)
    if found is None or found < 1:
        raise SettingError(f"WORLD_SIZE={quoted(raw, 80)}: expected the number of processes")
    return found


def _show(plan: Plan, threads: Threads) -> None:
    from hybridir_mteb.planning.dry_run import estimate
    from hybridir_mteb.training.pairs import common_negatives

    lora = plan.lora
    rows = {
        "backbone": plan.recipe.weights or plan.backbone.hub_id,
        "method": f"{plan.method.name}: {plan.method.summary}",
        "options": ", ".join(f"{k}={v}" for k, v in plan.options.items() if v != "") or "none",
        "languages": " ".join(plan.languages),
        "trained parameters": f"LoRA, rank {lora.rank}" if lora else "all",
        "steps": str(plan.steps(_processes())),
        "batch": f"{plan.recipe.batch_size} pairs x {plan.recipe.gradient_accumulation} "
        "accumulated, on each device",
        "leak check": f"{', '.join(plan.checked) or 'nothing'} compared; "
        f"{', '.join(plan.unchecked) or 'none'} not at hand",
        "memory": estimate(plan),
        "threads": str(threads),
    }
    for source in plan.train:
        held = sum(len(s.items) for s in plan.held_out if s.name == source.name)
        negatives = common_negatives(source.items)
        rows[f"data: {source.name}"] = f"{len(source.items)} items, {held} held out" + (
            f", {negatives} hard negatives each" if negatives else ""
        )
    if plan.leaks:
        rows["LEAKS, allowed"] = f"{len(plan.leaks)} items occur in evaluation sets"
    print_table(plan.recipe.name, (), rows.items(), piped=None)


def _show_plan(plan: Plan) -> None:
    """What the run needs on the devices that were asked for, or on as few as it takes."""
    from hybridir_mteb.planning.dry_run import training_of

    try:
        sections = training_of(
            plan, _processes() if "WORLD_SIZE" in os.environ else None
        ).sections()
    except HybridIRError as error:  # a network of a kind that no table knows
        say(str(error), wrap=True, label="no plan:", style="bold yellow")
        return
    show(sections)
    say("Other machines and prices: hybridir plan RECIPE --machine NAME --devices N --price X")
