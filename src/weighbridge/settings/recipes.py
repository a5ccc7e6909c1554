"""Baselines in the settings of their authors' code, by name: `dann@caffe` is a row of a comparison. No torch.

docs/guides/methods/README.md says what these settings cannot say, and the page of each method what else differs.
"""

__all__ = ["RECIPES", "BaselineRecipe", "fine_tuning", "recipe_of"]

from dataclasses import dataclass

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.settings.catalogue import CATALOGUE


@dataclass(frozen=True, kw_only=True)
class BaselineRecipe:
    """Settings of one method.

    Attributes:
        method: the name in the catalogue.
        shown: what tables add to the method.
        settings: those that are not this project's defaults. Lengths are in steps; a run from scratch has the sum. A
            recipe without lengths has those of whoever compares.
        source: where they stand.
    """

    method: str
    shown: str
    settings: dict[str, float | int | str | bool]
    source: str

    @property
    def own_length(self) -> dict[str, None]:
        """What takes lengths in epochs out of the way of a recipe's steps."""
        return dict.fromkeys(("epochs", "pre_epochs")) if "steps" in self.settings else {}


def fine_tuning(method: str) -> dict[str, float | int | str | bool]:
    """How published weights, or features with a head trained on them, are fine-tuned as a whole, for any method.

    Ritter et al., "CAD Models to Real-World Images", 2023. Lambda is the method's own; lengths, batches and weights are
    left to whoever asks.

    Args:
        method: a name in the catalogue.

    Returns:
        Settings by name, such as `optimizer`; those only that the method reads.
    """
    entry = CATALOGUE[method]
    settings: dict[str, float | int | str | bool] = {
        "optimizer": "adamw",
        "learning_rate": 1e-5,
        "weight_decay": 0.01,
        "rate_schedule": "cosine",
        "warmup": 0.1,
        "resized_crop": 0.7,
        "flip": True,
        "strong_kind": "augmix",
        "strong_augmentation": 0.3,  # AugMix of severity 3, its authors' and torchvision's default
    }
    if entry.start in ("either", "pre-classifier") and entry.optimizer == "sgd":
        settings["fine_tune_rate"] = 1e-5
    if "reversal" in entry.has:
        settings |= {name: entry.defaults.get(name, usual) for name, usual in (("strength", 1.0), ("schedule", "eq3"))}
        settings |= {"gamma": 10.0} if settings["schedule"] == "eq3" else {}
    return settings


_FINE_TUNED = ("source-only", "cdan", "cdan-e", "cdan-mcc", "mcc", "dann-mcc", "self-training", "iwdan-self-training")
_SGD = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.001}
# All of these codes let lambda rise as 2 / (1 + exp(-i / 1000)) - 1 over i steps: eq. 3 with gamma = steps / 1000. Most
# lower the rate by (1 + 0.001 i)^-0.75: rate_decay = steps / 1000.
RECIPES: dict[str, BaselineRecipe] = {
    "dann@caffe": BaselineRecipe(
        method="dann",
        shown="Caffe settings",
        settings={
            "pre_steps": 25_000,
            "steps": 25_000,
            "strength": 1.0,
            "schedule": "eq3",
            "gamma": 50.0,
            "learning_rate": 0.001,
            "rate_decay": 50.0,
            "new_layer_multiplier": 10.0,
            "domain_loss_weight": 0.05,  # theirs: 0.1 of the mean over all images, which is half of our sum of means
            "domain_dropout": 0.5,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "batch_source": 64,
            "batch_target": 64,
        },
        source="ddtm/caffe, branch grl, examples/adaptation/protos/train_val.prototxt and solver.prototxt",
    ),
    "dann@tll": BaselineRecipe(
        method="dann",
        shown="TLL settings",
        settings={
            "pre_steps": 10_000,
            "steps": 10_000,
            "strength": 1.0,
            "schedule": "eq3",
            "gamma": 20.0,
            "learning_rate": 0.001,
            "rate_decay": 20.0,
            "new_layer_multiplier": 10.0,
            "domain_loss_weight": 0.5,
            "batch_source": 32,
            "batch_target": 32,
            **_SGD,
        },
        source="thuml/Transfer-Learning-Library, examples/domain_adaptation/image_classification/dann.py and dann.sh",
    ),
    "cdan@authors": BaselineRecipe(
        method="cdan",
        shown="authors' settings",
        settings={
            "pre_steps": 50_000,
            "steps": 50_004,
            "strength": 1.0,
            "schedule": "eq3",
            "gamma": 100.0,
            "learning_rate": 0.001,
            "rate_decay": 100.0,
            "new_layer_multiplier": 10.0,
            "domain_loss_weight": 0.5,
            "domain_dropout": 0.5,
            "batch_source": 36,
            "batch_target": 36,
            **_SGD,
        },
        source="thuml/CDAN, pytorch/train_image.py, network.py and loss.py",
    ),
    "mcc@authors": BaselineRecipe(
        method="mcc",
        shown="authors' settings",
        settings={
            "start": "scratch",
            "pre_steps": 25_000,
            "steps": 25_004,
            "learning_rate": 0.0003,
            "rate_decay": 50.0,
            "new_layer_multiplier": 10.0,
            "mcc_weight": 1.0,
            "mcc_temperature": 2.5,
            "batch_source": 28,
            "batch_target": 28,
            **_SGD,
        },
        source="thuml/Versatile-Domain-Adaptation, pytorch/train_image_office.py",
    ),
    "iwdan-mcc@authors": BaselineRecipe(
        method="iwdan-mcc",
        shown="settings of IWDAN's authors",
        settings={
            "start": "scratch",
            "pre_steps": 50_000,
            "steps": 50_000,
            "schedule": "eq3",
            "gamma": 100.0,
            "strength": 0.5,
            "mcc_weight": 0.0,
            "weigh_labels": True,
            "learning_rate": 0.001,
            "rate_decay": 100.0,
            "new_layer_multiplier": 10.0,
            "domain_dropout": 0.5,
            "batch_source": 36,
            "batch_target": 36,
            **_SGD,
        },
        source="microsoft/Domain-Adaptation-with-Conditional-Distribution-Matching-and-Generalized-Label-Shift, "
        "train_image.py, network.py and loss.py",
    ),
    "weighted-dann@tll": BaselineRecipe(
        method="weighted-dann",
        shown="TLL settings of DANN",
        settings={
            "pre_steps": 10_000,
            "steps": 10_000,
            "strength": 1.0,
            "schedule": "constant",  # as the method has it; its domain loss is already the mean of the two means
            "gamma": 10.0,
            "learning_rate": 0.001,
            "fine_tune_rate": 0.001,
            "rate_decay": 10.0,  # of each stage, which counts its own steps
            "new_layer_multiplier": 10.0,
            "batch_source": 32,
            "batch_target": 32,
            **_SGD,
        },
        source="thuml/Transfer-Learning-Library, examples/domain_adaptation/image_classification/dann.py; "
        "Osumi et al. publish the momentum alone",
    ),
    "cdan-mcc@authors": BaselineRecipe(
        method="cdan-mcc",
        shown="settings of CDAN's and MCC's authors",
        settings={
            "start": "scratch",
            "pre_steps": 50_000,
            "steps": 50_004,
            "strength": 1.0,
            "schedule": "eq3",
            "gamma": 100.0,
            "learning_rate": 0.001,
            "rate_decay": 100.0,
            "new_layer_multiplier": 10.0,
            "domain_loss_weight": 0.5,
            "domain_dropout": 0.5,
            "mcc_weight": 1.0,
            "mcc_temperature": 2.5,
            "batch_source": 36,
            "batch_target": 36,
            **_SGD,
        },
        source="thuml/CDAN, pytorch/train_image.py, network.py and loss.py; "
        "thuml/Versatile-Domain-Adaptation, pytorch/train_image_office.py",
    ),
    "self-training@tll": BaselineRecipe(
        method="self-training",
        shown="TLL settings of FixMatch",
        settings={
            "start": "scratch",
            "pre_steps": 10_000,
            "steps": 10_000,
            "learning_rate": 0.0003,
            "rate_decay": 8.0,  # (1 + 0.0004 i)^-0.75
            "new_layer_multiplier": 10.0,
            "confidence_threshold": 0.9,
            "pseudo_label_weight": 1.0,
            "mcc_weight": 0.0,
            "batch_source": 32,
            "batch_target": 32,
            **_SGD,
        },
        source="thuml/Transfer-Learning-Library, examples/domain_adaptation/image_classification/fixmatch.py",
    ),
    "iwdan-self-training@authors": BaselineRecipe(
        method="iwdan-self-training",
        shown="settings of IWDAN's and FixMatch's authors",
        settings={
            "start": "scratch",
            "pre_steps": 50_000,
            "steps": 50_000,
            "schedule": "eq3",
            "gamma": 100.0,
            "strength": 0.5,
            "mcc_weight": 0.0,
            "weigh_labels": True,
            "confidence_threshold": 0.95,
            "pseudo_label_weight": 1.0,
            "ema_decay": 0.999,
            "learning_rate": 0.001,
            "rate_decay": 100.0,
            "new_layer_multiplier": 10.0,
            "domain_dropout": 0.5,
            "batch_source": 36,
            "batch_target": 36,
            **_SGD,
        },
        source="microsoft/Domain-Adaptation-with-Conditional-Distribution-Matching-and-Generalized-Label-Shift, "
        "train_image.py, network.py and loss.py; google-research/fixmatch, fixmatch.py",
    ),
    "adda@authors": BaselineRecipe(
        method="adda",
        shown="authors' settings",
        settings={
            "pre_steps": 10_000,
            "steps": 10_000,
            "adda_rate": 0.0002,
            "batch_source": 128,
            "batch_target": 128,
        },
        source="erictzeng/adda, scripts/svhn-mnist.sh and tools/train_adda.py",
    ),
    **{
        f"{method}@ritter": BaselineRecipe(
            method=method,
            shown="fine-tuned as by Ritter et al.",
            settings=fine_tuning(method),
            source="Ritter et al., CAD Models to Real-World Images, 2023, whose lengths and batches are not taken over",
        )
        for method in _FINE_TUNED
    },
}


def recipe_of(name: str) -> BaselineRecipe:
    """The recipe of this name, such as "dann@caffe".

    Raises:
        ConfigError: if there is none.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe '{name}'. {did_you_mean(name, RECIPES)}")
    return RECIPES[name]
