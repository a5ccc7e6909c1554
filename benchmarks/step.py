"""Seconds per weighted-DANN step, as a ratio to the fastest plain form and to the textbook form.

    ./run python benchmarks/step.py                    # VGG-16 at 224 and the small networks at 32
    ./run python benchmarks/step.py --network small --rounds 20

Three forms of the same networks on the same B + B' images, in the same precision, layout and allocator, with the same
fused optimiser, timed in turn in one process; the order changes from round to round. Ratios are medians of the ratios
within a round, so that a machine that speeds up or slows down does not move them.

    floor     plain torch, written below: forward, backward and optimiser step of DANN; no weights, no logging
    ours      weighbridge's step: P_a looked up, P_t from the training pass, or where batch norm makes that inexact
              from one of its own, eq. 5-8, logging as in a run
    textbook  the floor, and the frozen pre-classifier run on the source images at every step
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from weighbridge.engine.machine import Machine, probe
from weighbridge.methods.weighted_dann import WeightedDann
from weighbridge.parts.likelihoods import InstanceWeighting, exact_mode, stored
from weighbridge.parts.networks import Network, build_network, parameter_count
from weighbridge.parts.optim import Updater, set_progress, sgd
from weighbridge.parts.weights import class_likelihood, paper_weights
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

# image size, images per domain, classes
CASES = {"vgg16": (224, 8, 25), "small": (32, 64, 10), "small-batchnorm": (32, 64, 10)}
LEARNING_RATE = 1e-4


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def floor_step(
    net: Network, pair: DomainPair, optimizer: torch.optim.Optimizer, machine: Machine
) -> Callable[[], None]:
    """DANN in plain torch: the label head on the source, the domain head on all, one backward, one optimiser step."""
    source, labels, target = pair.source.images, pair.source.labels, pair.target.images
    domains = torch.cat([torch.zeros(len(source)), torch.ones(len(target))]).to(source.device)
    autocast = machine.precision == "bf16"

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(machine.device, torch.bfloat16, enabled=autocast):
            features = net.features(torch.cat([source, target]))
            label_logits = net.label_head(features[: len(source)])
            domain_logits = net.domain_head(_Reversal.apply(features))[:, 0]
        loss = F.cross_entropy(label_logits.float(), labels)
        (loss + F.binary_cross_entropy_with_logits(domain_logits.float(), domains)).backward()
        optimizer.step()

    return step


def textbook_step(
    net: Network, pre: Network, pair: DomainPair, optimizer: torch.optim.Optimizer, machine: Machine
) -> Callable[[], None]:
    """The floor with eq. 5 in it, P_a from the pre-classifier at every step."""
    source, labels, target = pair.source.images, pair.source.labels, pair.target.images
    rows, autocast = torch.arange(len(source), device=source.device), machine.precision == "bf16"

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(machine.device, torch.bfloat16, enabled=autocast):
            with torch.no_grad():
                p_a = pre(source).float().softmax(1)[rows, labels]
            features = net.features(torch.cat([source, target]))
            label_logits = net.label_head(features[: len(source)])
            domain_logits = net.domain_head(_Reversal.apply(features))[:, 0]
        weights = torch.exp(p_a - label_logits.detach().float().softmax(1)[rows, labels])
        source_loss = F.softplus(domain_logits[: len(source)].float()) * weights
        target_loss = F.softplus(-domain_logits[len(source) :].float())
        domain_loss = (source_loss.sum() + target_loss.sum()) / len(domain_logits)
        (F.cross_entropy(label_logits.float(), labels) + domain_loss).backward()
        optimizer.step()

    return step


def our_step(
    net: Network, pre: Network, pair: DomainPair, optimizer: torch.optim.Optimizer, machine: Machine
) -> Callable[[], None]:
    """What the engine does between two batches."""
    with torch.no_grad():
        p_a = class_likelihood(pre(pair.source.images), pair.source.labels)
    method = WeightedDann(net, optimizer, InstanceWeighting(stored(p_a), paper_weights, exact_mode(net)))
    update = Updater(lambda loss: loss.backward())
    method.train()

    def step() -> None:
        set_progress(method.optimizers.values(), 0.0)
        with torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bf16"):
            method.step(pair, 0.0, update)

    return step


def fixed_pair(size: int, batch: int, classes: int, machine: Machine) -> DomainPair:
    torch.manual_seed(1)

    def images() -> torch.Tensor:
        return torch.randn(batch, 3, size, size).to(machine.device).contiguous(memory_format=machine.memory_format)

    index = torch.arange(batch, device=machine.device)
    return DomainPair(LabelledBatch(images(), index % classes, index, index * 0), UnlabelledBatch(images(), index))


def without_dropout(net: Network) -> Network:
    """Random masks cost the same everywhere; without them the three forms can be checked against each other."""
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def measure(name: str, batch: int | None, rounds: int, machine: Machine) -> dict[str, object]:
    size, default_batch, classes = CASES[name]
    batch = batch or default_batch
    torch.manual_seed(0)
    pre = without_dropout(build_network(name, classes=classes, channels=3, size=size))
    pre = pre.to(device=machine.device, memory_format=machine.memory_format).eval().requires_grad_(False)
    pair = fixed_pair(size, batch, classes, machine)

    forms = {}
    for form in ("floor", "ours", "textbook"):
        net = copy.deepcopy(pre).train().requires_grad_(True)
        optimizer = sgd(net.parameters(), learning_rate=LEARNING_RATE)
        if form == "floor":
            forms[form] = floor_step(net, pair, optimizer, machine)
        else:
            forms[form] = (our_step if form == "ours" else textbook_step)(net, pre, pair, optimizer, machine)

    repeats = 1 if name == "vgg16" else 5
    times: dict[str, list[float]] = {form: [] for form in forms}
    for number in range(rounds + 1):
        order = sorted(forms, key=lambda form: (list(forms).index(form) + number) % len(forms))
        for form in order:
            start = time.perf_counter()
            for _ in range(repeats):
                forms[form]()
            if machine.device == "cuda":
                torch.cuda.synchronize()
            if number:  # the first round warms up
                times[form].append((time.perf_counter() - start) / repeats)

    def ratio(form: str, base: str) -> list[float]:
        quotients = sorted(a / b for a, b in zip(times[form], times[base], strict=True))
        low, _, high = statistics.quantiles(quotients, n=4) if len(quotients) > 1 else quotients * 3
        return [round(statistics.median(quotients), 3), round(low, 3), round(high, 3)]

    return {
        "network": name,
        "image_size": size,
        "batch": [batch, batch],
        "parameters": parameter_count(pre),
        "rounds": rounds,
        "seconds": {form: round(statistics.median(values), 4) for form, values in times.items()},
        "ours_over_floor": ratio("ours", "floor"),
        "textbook_over_floor": ratio("textbook", "floor"),
        "ours_over_textbook": ratio("ours", "textbook"),
        "machine": machine.facts(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=[*CASES, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batch", type=int, help="images per domain")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--no-channels-last", action="store_true")
    parser.add_argument("--no-keep-memory", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    machine = probe(
        precision=options.precision,
        channels_last=not options.no_channels_last,
        keep_memory=not options.no_keep_memory,
    )
    results = []
    for name in CASES if options.network == "all" else [options.network]:
        result = measure(name, options.batch, options.rounds, machine)
        results.append(result)
        seconds, batch = result["seconds"], result["batch"]
        print(
            f"{name}, {batch[0]} + {batch[1]} images of {result['image_size']} px, {machine.precision}, "
            f"{machine.threads} threads, {options.rounds} rounds, {machine.processor}"
        )
        for form in ("floor", "ours", "textbook"):
            print(f"  {form:<9}{seconds[form]:9.4f} s")
        for key in ("ours_over_floor", "textbook_over_floor", "ours_over_textbook"):
            median, low, high = result[key]
            print(f"  {key.replace('_', ' '):<20}{median:6.3f}  (quartiles {low:.3f} to {high:.3f})")
        sys.stdout.flush()
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
