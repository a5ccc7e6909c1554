"""Settings that no network can train with are met before any data."""

import pytest

from weighbridge.errors import ConfigError
from weighbridge.settings.build_method import check_backbone
from weighbridge.settings.config import Config

SMALL = {"backbone": "resnet18", "image_size": 32}  # its last layers see one pixel


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_target": 1, "batch_source": 8}, "got batch_target = 1 in 1. Raise batch_target or image_size"),
        ({"batch_source": 1, "method": "source-only"}, "got batch_source = 1 in 1. Raise batch_source or image_size"),
        ({"batch_source": 2, "processes": 2}, "got batch_source = 2 in 2. Raise batch_source or image_size"),
    ],
)
def test_one_image_before_batch_norm_over_one_pixel_is_refused(changes, said):
    with pytest.raises(ConfigError) as caught:
        check_backbone(Config(**SMALL, **changes))
    assert str(caught.value) == (
        f"backbone 'resnet18' at 32 pixels needs at least 2 images a batch in each process, for its batch norm, {said}"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_target": 2},
        {"batch_target": 1, "image_size": 64},
        {"batch_target": 1, "method": "source-only"},  # it looks at no photo
        {"batch_target": 1, "backbone": "small-batchnorm"},
    ],
)
def test_others_pass(changes):
    check_backbone(Config(**SMALL | changes))
