"""A backbone of your own, trained by a method and by the loop of weighbridge.

    python examples/own_backbone.py SOURCE TARGET LABELLED OUT STEPS

SOURCE and LABELLED have one folder per class, TARGET has photos without labels. It trains the network on SOURCE, then
adapts it by the default method, STEPS steps each, and prints the accuracy on LABELLED after each. OUT gets the weights
and a log. These modules are the inside of weighbridge and may change.
Imports: torch, weighbridge.engine, weighbridge.parts, weighbridge.run_folder, weighbridge.runs, weighbridge.settings
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from weighbridge.engine.checkpoint import save_network
from weighbridge.engine.evaluate import evaluate
from weighbridge.engine.loop import fit
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.workplace import open_workplace
from weighbridge.settings.build_data import build_pairs, build_preparation, open_labelled
from weighbridge.settings.build_method import build_method
from weighbridge.settings.config import Config


class Backbone(nn.Module):
    """G_f: any module of yours from images to features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 4, stride=2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.stem(images)).flatten(1)  # (M, 3, 32, 32) -> (M, F) = (M, 128 * 7 * 7)


if __name__ == "__main__":
    _, *paths, steps = sys.argv if len(sys.argv) == 6 else sys.exit(__doc__)
    (source, target, labelled, out), steps, F = map(Path, paths), int(steps), 128 * 7 * 7
    config = Config(pre_steps=steps, steps=steps, image_size=32)  # method="dann-mcc" or another; not one that needs P_a
    place = open_workplace([source], target, config)  # both domains and the device
    K, device = len(place.data.classes), place.fabric.device
    tests = open_labelled(labelled, config, place.data.classes)
    torch.manual_seed(config.seed)
    G_y, G_d = nn.Linear(F, K), nn.Sequential(nn.Linear(F, 256), nn.ReLU(), nn.Linear(256, 1))
    network = Network(Backbone(), G_y, G_d).to(device, memory_format=place.machine.memory_format)
    with RunFolder.create(out):  # refuses a folder that holds something
        folder = RunFolder(out)
    for stage in (config.replace(method="source-only", steps=0), config):
        method = build_method(stage, network, K)  # and its optimiser
        pairs = build_pairs(stage, place.data, method, place.machine, device)
        run = {"stage": stage.method, "steps": stage.total_steps, "classes": K, "folder": folder}
        fit(method, pairs, fabric=place.fabric, **run)
        accuracy = evaluate(method.network, tests, build_preparation(stage)).accuracy
        print(f"{stage.method}: accuracy {100 * accuracy:.1f} % on {len(tests)} labelled photos")
    save_network(folder.model, method.network)  # of the default method: the teacher
