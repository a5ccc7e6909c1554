"""Every method by name."""

__all__ = [
    "DEFAULT_METHODS",
    "METHODS",
    "NO_DOMAIN_LOSS",
    "OF_METHOD",
    "OWN_WEIGHTS",
    "SHOWN_NAMES",
    "START_CHOSEN",
    "MethodName",
]

from typing import Literal, get_args

DEFAULT_METHODS = (
    "source-only",
    "dann",
    "adda",
    "weighted-dann",
    "iwdan-self-training",
)  # the paper's four, and the default
SHOWN_NAMES = {
    "source-only": "source only",
    "dann": "DANN",
    "adda": "ADDA",
    "weighted-dann": "weighted DANN",
    "mcc": "MCC",
    "dann-mcc": "DANN + MCC",
    "iwdan-mcc": "IWDAN + MCC",
    "mean-teacher": "mean teacher",
    "self-training": "self-training",
    "iwdan-self-training": "IWDAN + self-training",
}


MethodName = Literal[
    "source-only",
    "dann",
    "adda",
    "weighted-dann",
    "mcc",
    "dann-mcc",
    "iwdan-mcc",
    "mean-teacher",
    "self-training",
    "iwdan-self-training",
]
METHODS: tuple[str, ...] = get_args(MethodName)
OWN_WEIGHTS = ("iwdan-mcc", "iwdan-self-training")  # methods that weigh source images by a rule of their own
# Settings that may be left out -> what they are for all methods, and for some. Label-free scores: docs/defaults.md.
OF_METHOD: dict[str, tuple[float, dict[str, float]]] = {
    "strong_augmentation": (0.0, dict.fromkeys(("self-training", "iwdan-self-training"), 0.5)),
    "strength": (1.0, dict.fromkeys(OWN_WEIGHTS, 0.1)),
    "fine_tune_rate": (0.01, {"weighted-dann": 0.001}),
    "new_layer_multiplier": (1.0, {"weighted-dann": 10.0}),
}


START_CHOSEN = ("mcc", "dann-mcc", "iwdan-mcc", "mean-teacher", "self-training", "iwdan-self-training")
NO_DOMAIN_LOSS = ("source-only", "mcc", "mean-teacher", "self-training")
