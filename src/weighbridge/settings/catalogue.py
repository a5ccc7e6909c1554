"""Every method once: what it is called, what it starts from, what it has, and the defaults of its own. No torch."""

__all__ = ["CATALOGUE", "CONTROLS", "DEFAULT_METHOD", "DEFAULT_METHODS", "METHODS", "MethodEntry", "Part", "entry_of"]

from dataclasses import dataclass, field
from typing import Literal

from weighbridge.errors import ConfigError, did_you_mean

Part = Literal["target", "domain loss", "reversal", "class confusion", "class ratios", "teacher", "pseudo-labels"]
"""What a method may have.

target: it looks at target images. domain loss: a domain classifier, whose loss can weigh source images. reversal: that
loss reaches the features through a reversal layer, times lambda. class confusion: MCC on the target. class ratios:
weights of its own, by class. teacher: a running mean of the network judges a second view of each target image.
pseudo-labels: the classes that the teacher is sure of are learned.
"""
Start = Literal["scratch", "pre-classifier", "either", "source-only"]
"""Random or published weights, the pre-classifier's, whichever the setting `start` names, or a finished source-only
run, of which a control is another reading: nothing more is trained."""


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """One method.

    Attributes:
        name: what users type.
        shown: what tables call it.
        start: where its networks start.
        control: whether it adapts nothing, so that the gain of the others is their distance to the best such.
        reads: of a control that trains nothing, which network of a source-only run it reads: `model`, or the
            `running-mean` of its weights.
        optimizer: of the networks that adapt; `adam` has a rate of its own, `sgd` the rates that all methods share.
        has: its parts.
        defaults: settings that are left out -> what they are for this method, where that is not what they are for all.
    """

    name: str
    shown: str
    start: Start
    control: bool = False
    reads: Literal["", "model", "running-mean"] = ""
    optimizer: Literal["sgd", "adam"] = "sgd"
    has: frozenset[Part] = frozenset()
    defaults: dict[str, float | str] = field(default_factory=dict)


_DANN: frozenset[Part] = frozenset({"target", "domain loss", "reversal"})
_SELF_TRAINING: frozenset[Part] = frozenset({"target", "teacher", "pseudo-labels", "class confusion"})

# In the order of help and tables. Where the defaults come from: docs/defaults.md.
_ENTRIES = (
    MethodEntry(name="source-only", shown="source only", start="scratch", control=True),
    MethodEntry(
        name="source-only-ema", shown="source only, EMA", start="source-only", control=True, reads="running-mean"
    ),
    MethodEntry(name="adabn", shown="source only, AdaBN", start="source-only", control=True, reads="model"),
    MethodEntry(name="source-only-continued", shown="source only, continued", start="pre-classifier", control=True),
    MethodEntry(name="dann", shown="DANN", start="scratch", has=_DANN),
    MethodEntry(
        name="adda",
        shown="ADDA",
        start="pre-classifier",
        optimizer="adam",
        has=frozenset({"target", "domain loss"}),
    ),
    MethodEntry(
        name="weighted-dann",
        shown="weighted DANN",
        start="pre-classifier",
        has=_DANN,
        defaults={
            "weighting": "paper",
            "schedule": "constant",
            "fine_tune_rate": 0.001,
            "new_layer_multiplier": 10.0,
        },
    ),
    MethodEntry(name="cdan", shown="CDAN", start="scratch", has=_DANN),
    MethodEntry(name="cdan-e", shown="CDAN+E", start="scratch", has=_DANN),
    MethodEntry(name="mcc", shown="MCC", start="either", has=frozenset({"target", "class confusion"})),
    MethodEntry(name="dann-mcc", shown="DANN + MCC", start="either", has=_DANN | {"class confusion"}),
    MethodEntry(name="cdan-mcc", shown="CDAN + MCC", start="either", has=_DANN | {"class confusion"}),
    MethodEntry(name="cdan-e-mcc", shown="CDAN+E + MCC", start="either", has=_DANN | {"class confusion"}),
    MethodEntry(
        name="iwdan-mcc",
        shown="IWDAN + MCC",
        start="either",
        has=_DANN | {"class confusion", "class ratios"},
        defaults={"strength": 0.1},
    ),
    MethodEntry(
        name="mean-teacher",
        shown="mean teacher",
        start="either",
        optimizer="adam",
        has=frozenset({"target", "teacher"}),
    ),
    MethodEntry(
        name="self-training",
        shown="self-training",
        start="either",
        has=_SELF_TRAINING,
    ),
    MethodEntry(
        name="iwdan-self-training",
        shown="IWDAN + self-training",
        start="either",
        has=_DANN | _SELF_TRAINING | {"class ratios"},
        defaults={"strength": 0.1},
    ),
)
CATALOGUE = {entry.name: entry for entry in _ENTRIES}
METHODS = tuple(CATALOGUE)
DEFAULT_METHOD = "iwdan-self-training"
CONTROLS = tuple(entry.name for entry in _ENTRIES if entry.control)
DEFAULT_METHODS = (*CONTROLS, "dann", "adda", "weighted-dann", DEFAULT_METHOD)  # the paper's, and the default


def entry_of(method: str) -> MethodEntry:
    """The entry of this name.

    Raises:
        ConfigError: if there is none.
    """
    if method not in CATALOGUE:
        raise ConfigError(f"there is no method '{method}'. {did_you_mean(method, METHODS)}")
    return CATALOGUE[method]
