"""The second stage of training = 'fine-tune': all layers learn on images, and a check without labels of the target."""

__all__ = ["Check", "fine_tune", "pre_classifier_on_images"]

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.engine.checkpoint import load_network, save_network
from weighbridge.errors import DivergenceError
from weighbridge.parts.likelihoods import SourceLikelihood
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.frozen import tuned_network, whole_network
from weighbridge.runs.stage import Outcome, look, renders_only, train_stage, write_outcome
from weighbridge.runs.workplace import Workplace, fresh_network, on_images
from weighbridge.settings import build_method
from weighbridge.settings.config import Config
from weighbridge.settings.tuning import features_stage, tuning_of
from weighbridge.trust.evidence import FORGOTTEN


@dataclass(frozen=True)
class Check:
    """Whether fine-tuning gained, by what is known without labels of the target.

    It gained if the mutual information of the target predictions rose (`evaluate.TargetSummary`) and accuracy on
    held-out source images fell by 2 points at most.

    Args:
        before: of the network behind the frozen backbone.
        after: of the fine-tuned network; None if its training diverged, which is no gain.
    """

    before: Outcome
    after: Outcome | None

    @property
    def gained(self) -> bool:
        if self.after is None or _score(self.after) <= _score(self.before):
            return False
        before, after = _held_out(self.before), _held_out(self.after)
        return before is None or after is None or after >= before - FORGOTTEN

    @property
    def sentence(self) -> str:
        """What came of it, for people."""
        if self.after is None:
            return "fine-tuning diverged, so the network from before it is kept"
        said = f"mutual information {_score(self.before):.3f} to {_score(self.after):.3f} nats"
        before, after = _held_out(self.before), _held_out(self.after)
        if before is not None and after is not None:
            said += f", held-out renders {100 * before:.1f} to {100 * after:.1f} % right"
        if self.gained:
            return f"fine-tuning gained by the label-free score ({said}), so its network is kept"
        return f"fine-tuning did not gain by the label-free score ({said}), so the network from before it is kept"

    def facts(self) -> dict[str, Any]:
        """For metrics.json."""
        scores = {"before": self.before, "after": self.after}
        return {
            **{
                name: outcome and {"mutual_information": _score(outcome), "source_held_out": _held_out(outcome)}
                for name, outcome in scores.items()
            },
            "gained": self.gained,
            "sentence": self.sentence,
        }


def _score(outcome: Outcome) -> float:
    return outcome.target.summary.mutual_information


def _held_out(outcome: Outcome) -> float | None:
    return outcome.held_out.accuracy if outcome.held_out else None


def fine_tune(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    features: RunFolder,
    home: RunFolder,
    p_a: SourceLikelihood | None,
) -> None:
    """Train all layers from a finished run on features, and keep the better network of the two in the folder.

    Batches go on where that run stopped. Optimiser state, class ratios and thresholds of classes start anew.

    Args:
        workplace: with features.
        features: the run.
        home: where its pre-classifier lies, if it starts from one.
        p_a: P_a of a batch of images, where a weighting is asked for.
    """
    place, first_stage = on_images(workplace, config), features_stage(config)
    tuning = tuning_of(config).lasting(len(workplace.data.source))
    start = _loaded(workplace, config, features.model)
    method = build_method.build_method(tuning, copy.deepcopy(start), len(workplace.data.classes), p_a)
    seconds, diverged = float(features.metrics()["seconds"]), False
    try:
        seconds += train_stage(
            place,
            tuning,
            method,
            folder,
            stage="fine-tune",
            steps=tuning.steps,
            first=config.pre_steps + config.steps,  # both stages of the run on features
        )
    except DivergenceError as error:
        place.watch.tell(str(error))
        diverged = True
    if folder.writes:
        head = fresh_network(workplace, first_stage)
        load_network(features.model, head)
        before = look(workplace, first_stage, head)
        check = Check(before, None if diverged else look(place, tuning, method.network))
        for name, by_product in method.by_products().items():
            kept = by_product if check.gained else _loaded(workplace, config, features.by_product(name))
            save_network(folder.by_product(name), kept)
        network, outcome = (method.network, check.after) if check.gained else (start, before)
        told = {"steps": tuning.steps, **check.facts()}
        alone = renders_only(workplace, first_stage, home)
        write_outcome(workplace, config, folder, network, seconds, outcome, before=alone, fine_tuning=told)
        place.watch.tell(check.sentence)
    place.fabric.barrier()


def pre_classifier_on_images(workplace: Workplace, network: Network) -> Network:
    """The pre-classifier behind the frozen backbone of its workplace as a network of images."""
    assert workplace.frozen is not None
    return whole_network(copy.deepcopy(workplace.frozen.module), network)


def _loaded(workplace: Workplace, config: Config, file: Path) -> Network:
    """Backbone and the layers in a file of a run on features, as one network that can learn."""
    assert workplace.frozen is not None
    head = fresh_network(workplace, features_stage(config))
    load_network(file, head)
    return tuned_network(workplace.frozen.module, head, config)
