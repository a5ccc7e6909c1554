"""From settings to the machine that trains."""

__all__ = ["build_fabric", "build_machine", "check_processes"]

import logging
import os

from lightning_fabric import Fabric

from weighbridge.engine.machine import Machine, probe
from weighbridge.errors import ConfigError
from weighbridge.settings.config import Config

_PRECISION, _THREADS = "WEIGHBRIDGE_PRECISION", "WEIGHBRIDGE_THREADS"


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


def build_machine(config: Config, *, at_once: int = 1) -> Machine:
    """What these settings and this machine come to.

    Args:
        config: threads are measured at the scale of its batch.
        at_once: how many such runs share the machine.
    """
    told = os.environ if config.processes > 1 else {}  # by the process that started this one
    machine = probe(
        device=config.device,
        processes=config.processes,
        at_once=at_once,
        precision=told.get(_PRECISION, config.precision) if config.precision == "auto" else config.precision,
        threads=config.threads or int(told.get(_THREADS, "0")),
        batch=(config.batch_source // config.processes, config.channels, config.image_size, config.image_size),
        channels_last=config.channels_last,
        keep_memory=config.keep_memory,
    )
    if machine.processes > 1:
        os.environ[_PRECISION] = machine.precision  # processes started from here must not measure for themselves
        os.environ[_THREADS] = str(machine.threads)
    return machine


def build_fabric(machine: Machine) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of itself otherwise, once a run
    return Fabric(
        accelerator="cuda" if machine.device == "cuda" else "cpu",
        devices=machine.processes,
        strategy="ddp" if machine.processes > 1 else "auto",
        precision=machine.fabric_precision,
    )
