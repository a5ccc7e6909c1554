"""The CG studio: labelled images in real-time and in pre-rendered quality, behind `pip install weighbridge[render]`."""

__all__: list[str] = []

from importlib.util import find_spec

from weighbridge.errors import RenderError

for _module in ("cv2", "manifold3d", "resvg_py", "trimesh"):
    if find_spec(_module) is None:
        raise RenderError(f"rendering needs '{_module}', which is not installed: pip install 'weighbridge[render]'")
