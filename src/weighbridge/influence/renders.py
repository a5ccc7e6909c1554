"""Renders with all that is known of them, and what is left out of a training to see what it earned."""

__all__ = ["Left", "Renders", "group_name"]

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weighbridge.influence.estimates import GroupValue, chances, lowest_fifth, unlike_chance, value_of
from weighbridge.influence.factors import RenderGroup, groups_of

_SURE = 0.05  # p-values up to which a group is named, see `estimates.chances`


@dataclass(frozen=True)
class Renders:
    """The renders of a run.

    Attributes:
        files: N names.
        labels: (N,) in [0, K).
        sources: (N,) which of the source names.
        families: (N,), renders of one number belong together, such as patches of one picture.
        values: (N,), see `shapley.render_values`; the weights where nothing else is known.
        by_labels: (N,), the same with the labels of photos in the place of predictions; None without.
        weights: (N,), mean weight in training, NaN for those never seen; None where none are given.
        factors: see `factors.read_factors`.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.integer]
    source_names: tuple[str, ...]
    sources: NDArray[np.integer]
    families: NDArray[np.integer]
    values: NDArray[np.float64]
    by_labels: NDArray[np.float64] | None
    weights: NDArray[np.float64] | None
    factors: Mapping[str, list[str]]

    @functools.cached_property
    def lowest(self) -> NDArray[np.bool_]:
        """(N,), see `estimates.lowest_fifth`."""
        return lowest_fifth(self.values, self.labels)

    @functools.cached_property
    def groups(self) -> list[RenderGroup]:
        """See `factors.groups_of`."""
        return groups_of(self.labels, self.classes, self.sources, self.source_names, self.factors)

    @functools.cached_property
    def chances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of the groups, (G,) each, see `estimates.chances`."""
        return chances(self.groups, self.values, self.labels, self.sources)

    def named(self) -> list[RenderGroup]:
        """Groups that are higher or lower in value than chance explains, the surest first.

        What holds in at most half of the classes is said of those. Over all classes it is named only if chance does
        not explain it in the others either. What holds in more is said of all classes, and not of each again.
        """
        together, alone = self.chances
        order = np.lexsort((alone, together))
        sure = [self.groups[k] for k in order if together[k] <= _SURE and alone[k] <= _SURE]
        within = {(g.name, g.range): [h.label for h in sure if h.label and _alike(g, h)] for g in sure}
        return [group for group in sure if self._speaks(group, within[group.name, group.range])]

    def _speaks(self, group: RenderGroup, labels: Sequence[str]) -> bool:
        """Whether a group is named beside those of the same range within some classes."""
        general = 2 * len(labels) > len(self.classes)
        if group.kind != "factor" or not labels:
            return True
        if group.label is not None:
            return group.name == "source" or not general
        others = ~np.isin(self.labels, [self.classes.index(label) for label in labels])
        return (
            general or unlike_chance(group.rows[others].astype(int), self.values[others], self._strata[others]) <= _SURE
        )

    @property
    def _strata(self) -> NDArray[np.integer]:
        """Class and source of each render as one number, (N,)."""
        return self.labels * len(self.source_names) + self.sources

    def to_leave_out(self) -> list[RenderGroup]:
        """Groups without which a training may tell most, in that order; none of them is all of a class.

        Sources, what is named, that of low value first, and then the other ranges of factors over all classes.
        """
        sources = [group for group in self.groups if group.kind == "source"] if len(self.source_names) > 1 else []
        order = np.lexsort(self.chances[::-1])
        others = [self.groups[k] for k in order if self.groups[k].kind == "factor" and self.groups[k].label is None]
        factors = [group for group in self.named() if group.kind == "factor"]
        factors.sort(key=self._mean_above_peers)
        wanted = {id(group): group for group in [*sources, *factors, *others]}.values()
        return [group for group in wanted if self._leaves_all_classes(group.rows)]

    def _mean_above_peers(self, group: RenderGroup) -> bool:
        return float(self.values[group.rows].mean()) > float(self.values[group.peers].mean())

    def chance_of(self, group: RenderGroup) -> float:
        """Adjusted p-value of the factor of one of the groups."""
        return self._chance[id(group)]

    @functools.cached_property
    def _chance(self) -> dict[int, float]:
        return {id(group): float(p) for group, p in zip(self.groups, self.chances[0], strict=True)}

    def _leaves_all_classes(self, left_out: NDArray[np.bool_]) -> bool:
        return bool(np.bincount(self.labels[~left_out], minlength=len(self.classes)).all())

    def value_of(self, group: RenderGroup) -> GroupValue:
        """See `estimates.value_of`."""
        return value_of(group, self.values, self.lowest, self.weights, self.families)


def _alike(group: RenderGroup, other: RenderGroup) -> bool:
    return (group.name, group.range) == (other.name, other.range)


@dataclass(frozen=True)
class Left:
    """What a training does without.

    Attributes:
        name: for people.
        rows: (N,) bool; None for a fifth of `images` that each seed draws anew.
        images: N.
        group: which group it is, if it is one.
    """

    name: str
    rows: NDArray[np.bool_] | None
    images: int
    group: RenderGroup | None = None

    def out(self, seed: int) -> NDArray[np.bool_]:
        """(N,) bool, for the training of this seed."""
        if self.rows is not None:
            return self.rows
        drawn = np.zeros(self.images, dtype=np.bool_)
        drawn[np.random.default_rng((seed, self.images)).permutation(self.images)[: self.images // 5]] = True
        return drawn


def group_name(group: RenderGroup) -> str:
    """For people: "source studio", "elevation 14 to 27", "mesh taxi.glb of class car"."""
    if group.kind != "factor":
        return f"{group.kind} {group.name}"
    return f"{group.name} {group.range}" + (f" of class {group.label}" if group.label is not None else "")
