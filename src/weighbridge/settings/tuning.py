"""The two stages of training = 'fine-tune', as settings. docs/guides/choosing.md says the same in words."""

__all__ = ["features_stage", "tuning_of"]

from weighbridge.settings.config import Config
from weighbridge.settings.recipes import fine_tuning

_TAKEN_OVER = ("optimizer", "weight_decay", "rate_schedule", "warmup")  # augmentation stays that of the run


def features_stage(config: Config) -> Config:
    """Settings of the first stage: the same method behind a frozen backbone."""
    return config.replace(training="features")


def tuning_of(config: Config) -> Config:
    """Settings of the second stage, in which all layers learn on images.

    AdamW, weight decay 0.01, 10 % warm-up, then cosine (`recipes.fine_tuning`, after Ritter et al. 2023). The rate is
    `tune_rate` for everything that learns, by whichever optimiser, and falls by `tune_layer_decay` from stage to stage
    towards the pixels. No layer is new any more. Batch norm keeps its statistics. Method, augmentation, batches and
    lambda are those of the first stage.

    Returns:
        Settings with the length in `steps` or `epochs`; see `Config.lasting`.
    """
    recipe = fine_tuning(config.method)
    return config.replace(
        **{name: recipe[name] for name in _TAKEN_OVER},
        training="full",
        backbone=config.network_name,  # `auto` may mean another one where all layers learn
        weights=config.weights_name,
        batch_norm="frozen",
        layer_decay=config.tune_layer_decay,
        new_layer_multiplier=1.0,
        steps=config.tune_steps or config.steps,
        epochs=None if config.tune_steps else config.tune_epochs,
        **dict.fromkeys(("learning_rate", "fine_tune_rate", "adda_rate", "mean_teacher_rate"), config.tune_rate),
        adda_discriminator_rate=None,
    )
