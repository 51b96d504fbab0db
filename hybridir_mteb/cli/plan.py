"""``hybridir plan``: memory, time and money of a run or an evaluation, before it is started."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridir_mteb.cli.console import print_table, say
from hybridir_mteb.cli.numbers import float_, integer
from hybridir_mteb.errors import SettingError

if TYPE_CHECKING:
    from hybridir_mteb.planning.corpus import Texts
    from hybridir_mteb.planning.machines import Machine
    from hybridir_mteb.planning.networks import Network
    from hybridir_mteb.planning.report import Section, TrainingPlan


def plan(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            help="A recipe as of 'hybridir train', such as llm-7b; its data are not read."
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(help="A task to encode the texts of, repeatable. Default: MIRACL."),
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            help="h100, h200, a100-80, a100-40, l4, each with -8 for a node; this-cpu; or your own."
        ),
    ] = None,
    machines: Annotated[
        Path | None, typer.Option(help="YAML, TOML or JSON file of your own machines.")
    ] = None,
    devices: Annotated[int | None, typer.Option(parser=integer, help="How many devices.")] = None,
    price: Annotated[
        float | None, typer.Option(parser=float_, help="Of one device and hour.")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Name in the table of backbones.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Local folder or hub id, whose configuration counts.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of weights on the hub.")] = None,
    steps: Annotated[int | None, typer.Option(parser=integer, help="Optimiser steps.")] = None,
    items: Annotated[
        int | None, typer.Option(parser=integer, help="Pairs of the data, where steps are epochs.")
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(parser=integer, help="Of a text. Default: the recipe's longest; counted."),
    ] = None,
    passages: Annotated[
        int | None, typer.Option(parser=integer, help="Encode so many passages instead of tasks.")
    ] = None,
    target: Annotated[Path | None, typer.Option("--json", help="Write everything here.")] = None,
) -> None:
    """Show memory by part, ways to share a run, steps, hours and money; nothing is loaded.

    With a recipe, of its training and of encoding a corpus; without, of encoding alone.
    """
    given = _positive(devices=devices, steps=steps, items=items, tokens=tokens, passages=passages)
    if price is not None and price < 0:
        raise SettingError(f"--price is {price:g}: expected 0 or more")
    network, planned = _of_recipe(recipe, backbone, weights, revision, given)
    chosen = _machine(machine, machines, price, network)
    found: dict[str, Any] = {}
    shown: list[Section] = []
    if planned is not None:
        training = planned(chosen, devices or (chosen.devices if machine else None))
        shown += training.sections()
        found["training"] = training.as_json()
    texts = _texts(tasks or [], passages)
    shown += _encoding(network, texts, chosen, given, found)
    show(shown)
    if target is not None:
        _write(target, found)


def _positive(**numbers: int | None) -> dict[str, int | None]:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise SettingError(f"--{name} is {value}: expected 1 or more")
    return numbers


def _of_recipe(
    recipe: Path | None,
    backbone: str | None,
    weights: str | None,
    revision: str | None,
    given: dict[str, int | None],
) -> tuple[Network, Any]:
    """The network, and what makes the plan of training on some devices; None without a recipe."""
    from hybridir_mteb.installed import installed_plugins
    from hybridir_mteb.planning.dry_run import usual_devices
    from hybridir_mteb.planning.job import Job, Sizes, job_of, negatives_of, steps_of
    from hybridir_mteb.planning.report import TrainingPlan
    from hybridir_mteb.planning.shapes import network_of
    from hybridir_mteb.training.recipe import read_recipe

    plugins = installed_plugins()
    if recipe is None:
        if not (backbone or weights):
            raise SettingError("give a recipe such as llm-7b, or an encoder's --backbone")
        return network_of(plugins.backbones[backbone or "decoder"], weights, revision), None
    read = read_recipe(
        recipe, backbone=backbone, weights=weights, revision=revision, steps=given["steps"]
    )
    entry, method = plugins.backbones[read.backbone], plugins.methods[read.method]
    network = network_of(entry, read.weights, read.revision)

    def planned(machine: Machine, devices: int | None) -> TrainingPlan:
        def job(count: int) -> Job:
            number = steps_of(read, count, given["items"])
            sizes = Sizes(negatives_of(read), given["tokens"], number, machine.half)
            return job_of(read, entry, method, network, sizes)

        devices = devices or usual_devices(job(1), machine)
        return TrainingPlan(read.name, job(devices), machine, devices)

    return network, planned


def _machine(name: str | None, file: Path | None, price: float | None, network: Network) -> Machine:
    from dataclasses import replace

    from hybridir_mteb.planning.dry_run import usual_machine
    from hybridir_mteb.planning.machines import machine_of

    found = machine_of(name, file) if name else usual_machine(network)
    return found if price is None else replace(found, price=price)


def _texts(tasks: list[str], passages: int | None) -> list[Texts]:
    from hybridir_mteb.planning.corpus import MIRACL_TEXTS, Texts

    if passages is not None:
        return [Texts("--passages", passages, 0, MIRACL_TEXTS.characters, 1.0)]
    if not tasks:
        return [MIRACL_TEXTS]
    from hybridir_mteb.adapters.mteb.sizes import texts_of

    return [texts_of(name) for many in tasks for name in many.split(",")]


def _encoding(
    network: Network,
    texts: list[Texts],
    machine: Machine,
    given: dict[str, int | None],
    found: dict[str, Any],
) -> list[Section]:
    """Tables of encoding and of all formulas; what they say is put into ``found``."""
    from dataclasses import asdict

    from hybridir_mteb.planning.corpus import DEVICES, encoding, sharing
    from hybridir_mteb.planning.report import (
        FORMULAS,
        encoding_section,
        formulas,
        sharing_section,
    )

    numbers = (given["devices"],) if given["devices"] else DEVICES
    rows = [
        (one, encoding(network, one, machine, count or 1, given["tokens"]))
        for one in texts
        for count in numbers
    ]
    found["encoding"] = [{"texts": asdict(one), **asdict(of)} for one, of in rows]
    shared = [(one, sharing(network, one)) for one in texts]
    found["sharing"] = [{"texts": one.name, **asdict(of)} for one, of in shared]
    found["formulas"] = FORMULAS
    return [encoding_section(rows, machine), sharing_section(shared), formulas()]


def show(sections: Iterable[Section]) -> None:
    """Print tables."""
    for section in sections:
        print_table(section.title, section.columns, section.rows, numbers=bool(section.columns))


def _write(target: Path, found: dict[str, Any]) -> None:
    from hybridir_mteb.files import write_text
    from hybridir_mteb.paths import with_home

    target = with_home(target, "--json")
    write_text(target, json.dumps(found, indent=1, allow_nan=False) + "\n")
    say(f"written: {target}")
