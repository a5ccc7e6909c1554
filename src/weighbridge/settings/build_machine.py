"""From settings to the machine that trains."""

__all__ = ["build_fabric", "build_machine", "check_processes"]

import logging
import os

from lightning_fabric import Fabric

from weighbridge.engine.machine import Machine, probe
from weighbridge.errors import ConfigError
from weighbridge.settings.config import Config

_PRECISION = "WEIGHBRIDGE_PRECISION"


def check_processes(config: Config) -> None:
    """Refuse a start by torchrun that the settings do not know of.

    Raises:
        ConfigError: if torchrun started another number of processes than the settings say.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if "TORCHELASTIC_RUN_ID" in os.environ and started != config.processes:
        raise ConfigError(
            f"torchrun started {started} processes, but processes = {config.processes}. Set processes = {started}, "
            f"or start {config.processes}"
        )


def build_machine(config: Config) -> Machine:
    machine = probe(
        device=config.device,
        processes=config.processes,
        precision=os.environ.get(_PRECISION, config.precision) if config.precision == "auto" else config.precision,
        channels_last=config.channels_last,
        keep_memory=config.keep_memory,
    )
    if machine.processes > 1:
        os.environ[_PRECISION] = machine.precision  # processes started from here must not measure for themselves
    return machine


def build_fabric(machine: Machine) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of itself otherwise, once a run
    return Fabric(
        accelerator="cuda" if machine.device == "cuda" else "cpu",
        devices=machine.processes,
        strategy="ddp" if machine.processes > 1 else "auto",
        precision=machine.fabric_precision,
    )
