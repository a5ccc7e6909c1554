"""Some images of both domains in one plane, as the trained network sees them: a picture, from which nothing is chosen.

n images of each domain, F features, N = 2n points.
"""

__all__ = ["embed", "in_a_plane", "write_report_of"]

import contextlib
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from weighbridge.data.images import Images
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import AsTheyAre
from weighbridge.engine.evaluate import layout_of
from weighbridge.errors import RunFolderError, WeighbridgeError
from weighbridge.files import whole_file
from weighbridge.parts.networks import Network
from weighbridge.report.page import write_report
from weighbridge.run_folder import RunFolder, found_again
from weighbridge.runs.finished import Run
from weighbridge.settings import build_data

_LEAST, _MOST = 96, 300  # images of each domain
_SECONDS = 5.0  # that looking at them may take; fewer are shown where that is not enough
_LOOK = 32  # images of each domain between two glances at the clock
_TOO_MANY = 200_000  # images of a run; looking for so many files anew is not done for a picture
_COMPONENTS = 50  # that t-SNE sees, as van der Maaten and Hinton had it
_PERPLEXITY = 30.0
_FEW = 12  # points below which t-SNE has no neighbourhoods to speak of


def write_report_of(folder: Path) -> Path:
    """`write_report`, with embedding.npz made first where a finished run has none and its images are still there."""
    run = RunFolder(folder)
    if run.started and run.complete and not (folder / "embedding.npz").is_file():
        with contextlib.suppress(WeighbridgeError, OSError):  # images, weights or a package are gone: no picture then
            embed(Run(folder))
    return write_report(folder)


def embed(run: Run) -> None:
    """Write embedding.npz: `xy` (N, 2), `domain` (N,), `label` (N,), `name` (N,), and `how` it came about.

    Domain 0 is the source with its own labels, domain 1 the target with predicted ones; labels are places in run.json.
    Images are drawn evenly from both, by a fixed seed.

    Raises:
        WeighbridgeError: if the images or the network of the run cannot be read.
    """
    facts, config = run.folder.facts(), run.config if run.config.on_features else run.config.replace(cache="off")
    sizes = facts["data"]
    if sum(part["images"] for part in sizes["source"]) + sizes["target"]["images"] > _TOO_MANY:
        return
    source, _ = build_data.open_source([found_again(path) for path in facts["paths"]["source"]], config)
    target = build_data.open_target(found_again(facts["paths"]["target"]), config)
    try:
        parts = [run.as_trained(domain.images, cached=True) for domain in (source, target)]
    except RunFolderError:  # looking at some images is quicker than computing the features of all
        parts = [(run.network(), domain.images, build_data.build_preparation(config)) for domain in (source, target)]
    (network, renders, preparation), (_, photos, _) = parts
    orders = [_drawn(len(domain)) for domain in (source, target)]
    seen = _looked(network, [renders, photos], orders, preparation)
    features, predicted = (torch.cat([torch.cat(parts[k]) for parts in seen]).numpy() for k in (0, 1))
    rows = [order[: sum(map(len, parts[1]))].tolist() for order, parts in zip(orders, seen, strict=True)]
    label = np.concatenate([source.labels.whole()[rows[0]], predicted[len(rows[0]) :]]).astype(np.int32)
    files = [source.files[row] for row in rows[0]] + [target.files[row] for row in rows[1]]
    places, how = in_a_plane(features)
    with whole_file(run.path / "embedding.npz") as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            xy=places,
            domain=np.repeat(np.array([0, 1], dtype=np.int8), [len(rows[0]), len(rows[1])]),
            label=label,
            name=np.array(files),
            how=np.array(how),
        )


def _drawn(count: int) -> Tensor:
    """(n,) rows in a random order."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:_MOST]


def _looked(
    network: Network, domains: list[Images], orders: list[Tensor], preparation: Preparation | AsTheyAre
) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Of each domain features (b, F) and predicted classes (b,), batch by batch.

    It ends when all are seen or, once there are enough for a picture, when the time is over.
    """
    weights = next(network.parameters())
    found: list[tuple[list[Tensor], list[Tensor]]] = [([], []), ([], [])]
    started = time.monotonic()
    for done, parts in enumerate(itertools.zip_longest(*(torch.split(order, _LOOK) for order in orders)), start=1):
        for k, rows in enumerate(parts):
            if rows is not None:
                prepared = preparation.plain(domains[k].fetch(rows).to(weights.device))
                with torch.inference_mode():
                    features = network.features(prepared.contiguous(memory_format=layout_of(weights)))
                    found[k][1].append(network.label_head(features).argmax(dim=1).cpu())
                found[k][0].append(features.flatten(1).float().cpu())
        if done * _LOOK >= _LEAST and time.monotonic() - started > _SECONDS:
            break
    return found


def in_a_plane(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Places (N, 2) of features (N, F), and how they came about.

    The principal components, then t-SNE of them (van der Maaten and Hinton, "Visualizing data using t-SNE", 2008). Of
    few points, the first two principal components.
    """
    if not np.ptp(features, axis=0).any():  # of a network that collapsed
        return np.zeros((len(features), 2), dtype=np.float32), "it gives all of them the same features"
    spread = PCA(n_components=min(_COMPONENTS, *features.shape), random_state=0).fit_transform(features)
    if len(features) < _FEW or spread.shape[1] < 2:
        flat = np.zeros((len(features), 2), dtype=np.float32)
        flat[:, : min(2, spread.shape[1])] = spread[:, :2]
        return flat, "the first two principal components of its features"
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # so few points gain nothing by threads, and lose much beside other work
        places = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(spread)
    return places.astype(np.float32), f"t-SNE of the first {spread.shape[1]} principal components of its features"
