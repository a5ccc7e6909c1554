"""What a large image is taken for: its patches vote."""

__all__ = ["voted"]

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weighbridge.data.decode import open_full
from weighbridge.data.images import ArrayImages, View
from weighbridge.data.squares import fit_square
from weighbridge.data.transforms import Preparation
from weighbridge.engine.evaluate import label_logits
from weighbridge.parts.networks import Network
from weighbridge.patches.cut import grid

_CUTS_AT_ONCE = 256  # patches of an image that are made ready together


def voted(
    network: Network,
    content: Path | bytes,
    name: str,
    view: View,
    preparation: Preparation,
    *,
    patch_size: int,
    stride: int,
    temperature: float = 1.0,
) -> Tensor:
    """Mean class probabilities over the patches of one image, (K,); an image smaller than a patch votes as a whole.

    Args:
        content: the file, or its bytes.
        name: what an error calls it.
        view: how a patch becomes what the network was trained on.
        patch_size, stride: in pixels of the image.
        temperature: by which logits are divided, so that probabilities mean something.
    """
    image = open_full(content, name=name).convert("L" if view.channels == 1 else "RGB")
    whole = torch.from_numpy(np.array(image)).reshape(image.height, image.width, view.channels).permute(2, 0, 1)
    boxes = grid(image.width, image.height, patch_size, stride)
    cuts = [whole[:, top : top + patch_size, left : left + patch_size] for left, top in boxes] or [whole]
    vote: Tensor | float = 0.0
    for start in range(0, len(cuts), _CUTS_AT_ONCE):
        these = cuts[start : start + _CUTS_AT_ONCE]
        squares = np.stack([fit_square(cut, view.size, view.fit, view.interpolation) for cut in these])
        ready = ArrayImages(squares, View(view.size, view.channels))
        for _, logits in label_logits(network, ready, preparation):
            vote = vote + (logits / temperature).softmax(dim=1).sum(dim=0)
    return torch.as_tensor(vote) / len(cuts)
