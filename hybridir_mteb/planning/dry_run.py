"""The plan of a run whose data are read: what ``hybridir train --dry-run`` prints at its end."""

from __future__ import annotations

from hybridir_mteb.errors import HybridIRError, one_line
from hybridir_mteb.planning.choice import fewest
from hybridir_mteb.planning.job import Job, job_of_plan
from hybridir_mteb.planning.machines import MACHINES, NODE, THIS, Machine, machine_of
from hybridir_mteb.planning.networks import Network
from hybridir_mteb.planning.report import TrainingPlan
from hybridir_mteb.planning.shapes import network_of
from hybridir_mteb.training.plan import Plan

LARGE = 10**9  # parameters, from which on a plan is for GPUs unless it is told
GPU = "h100"


def usual_machine(network: Network) -> Machine:
    """The processor at hand for small networks, else GPUs of 80 GB."""
    return MACHINES[GPU] if network.parameters >= LARGE else machine_of(THIS)


def usual_devices(job: Job, machine: Machine) -> int:
    """As few GPUs as it takes, a node where nothing fits; one processor."""
    return (fewest(job, machine) or NODE) if machine.gpu else 1


def training_of(plan: Plan, devices: int | None = None) -> TrainingPlan:
    """What a run needs on the machine that is usual for its network; None takes few devices.

    Raises:
        SettingError: Nobody knows the shape of the network.
        DataUnavailableError: The configuration of the weights cannot be had.
    """
    network = network_of(plan.backbone, plan.recipe.weights, plan.revision)
    machine = usual_machine(network)
    job = job_of_plan(plan, network, devices or 1, half=machine.half)
    if devices is None:
        devices = usual_devices(job, machine)
        job = job_of_plan(plan, network, devices, half=machine.half)
    return TrainingPlan(plan.recipe.name, job, machine, devices)


def estimate(plan: Plan) -> str:
    """One line: the memory of one device, and whether it is there."""
    try:
        return training_of(plan).line()
    except HybridIRError as error:
        return f"unknown: {one_line(error)}"
