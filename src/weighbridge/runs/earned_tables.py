"""What `weighbridge earned` leaves behind: influence.json, influence.csv and a table for the terminal."""

__all__ = ["Earned", "conclude"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.data.domains import LabelledDomain
from weighbridge.files import replace_rows, write_json
from weighbridge.influence.estimates import Bounds, GroupValue
from weighbridge.influence.renders import Left, Renders
from weighbridge.influence.words import KEPT, bounds_in_words, dropping_sentence, next_sentences
from weighbridge.report.statistics import paired_difference
from weighbridge.run_folder import RunFolder
from weighbridge.runs.retrain import Judged

_SHOWN = 12  # rows of the table in the terminal
_SCORE = "mutual information of the photos, in nats"


@dataclass(frozen=True)
class Earned:
    """What came out.

    Attributes:
        rows: of a short table, its header first.
        next: what to render next, in words.
        paths: files that were written.
    """

    rows: list[tuple[str, ...]]
    next: list[str]
    paths: tuple[Path, Path]


@dataclass(frozen=True)
class _Effect:
    """What renders earned: the figure with all renders less the figure without these, over paired seeds."""

    score: Bounds | None
    accuracy: Bounds | None  # in points


def conclude(
    folder: RunFolder,
    renders: Renders,
    plan: Sequence[Left],
    judged: Sequence[Sequence[Judged]],
    held_out: LabelledDomain | None = None,
) -> Earned:
    """Write all files.

    Args:
        plan: what was left out, nothing first; empty where nothing was trained and values are weights.
        judged: for each part of the plan what came out, seed by seed.
        held_out: renders that did not train; None where nothing was trained.
    """
    effects = [_effect(judged[0], row) for row in judged]
    of_group = {id(part.group): effect for part, effect in zip(plan, effects, strict=True) if part.group is not None}
    named = [renders.value_of(group) for group in renders.named()]
    said = next_sentences(named, _of_kind(renders, "class"), _scores(plan, effects))
    dropping = {part.name: effect for part, effect in zip(plan, effects, strict=True) if part.group is None}
    if plan and (lowest := dropping["the lowest fifth"]).score and (drawn := dropping["a random fifth"].score):
        said.append(dropping_sentence(lowest.score, drawn, lowest.accuracy))
    factors = [group for group in renders.groups if group.kind == "factor" and group.label is None]
    factors += [group for group in renders.named() if group.kind == "factor" and group.label is not None]
    factors.sort(key=lambda group: renders.chance_of(group))
    facts: dict[str, Any] = {
        "score": _SCORE if plan else "mean weight in training",
        "renders": len(renders.files),
        "retrainings": sum(len(row) for row in judged),
        "seeds": len(judged[0]) if judged else 0,
        "with_all": [{"score": one.score, "accuracy": one.accuracy} for one in judged[0]] if judged else [],
        "fifths": {name: _facts_of(effect) for name, effect in dropping.items() if name != "nothing"},
        "by_class": [{"class": entry.group.name, **_group_facts(entry, None)} for entry in _of_kind(renders, "class")],
        "by_source": [
            {"source": entry.group.name, **_group_facts(entry, of_group.get(id(entry.group)))}
            for entry in _of_kind(renders, "source")
        ],
        "by_factor": [
            {
                "factor": group.name,
                "range": group.range,
                "class": group.label,
                **_group_facts(renders.value_of(group), of_group.get(id(group))),
                "chance": renders.chance_of(group),
            }
            for group in factors
        ],
        "next": said,
    }
    paths = folder.path / "influence.json", folder.path / "influence.csv"
    write_json(paths[0], facts)
    _write_renders(paths[1], renders)
    if held_out is not None:
        _write_kept(folder.path / KEPT, renders, held_out)
    return Earned(_table(renders, plan, effects) if plan else _weights_table(renders), said, paths)


def _effect(whole: Sequence[Judged], without: Sequence[Judged]) -> _Effect:
    return _Effect(
        _difference([(a.score, b.score) for a, b in zip(whole, without, strict=True)]),
        _difference([(a.accuracy, b.accuracy) for a, b in zip(whole, without, strict=True)], 100),
    )


def _difference(pairs: Sequence[tuple[float | None, float | None]], scale: float = 1.0) -> Bounds | None:
    """Student's t interval over paired seeds; None where fewer than two seeds have both."""
    both = [(scale * a, scale * b) for a, b in pairs if a is not None and b is not None]
    if len(both) < 2:
        return None
    found = paired_difference([a for a, _ in both], [b for _, b in both])
    assert found.low is not None
    assert found.high is not None
    return Bounds(found.mean, found.low, found.high)


def _scores(plan: Sequence[Left], effects: Sequence[_Effect]) -> dict[tuple[str, str, str | None], Bounds]:
    return {
        (part.group.name, part.group.range, part.group.label): effect.score
        for part, effect in zip(plan, effects, strict=True)
        if part.group is not None and effect.score is not None
    }


def _of_kind(renders: Renders, kind: str) -> list[GroupValue]:
    return [renders.value_of(group) for group in renders.groups if group.kind == kind and group.images]


def _facts_of(effect: _Effect | None) -> dict[str, Any]:
    score, accuracy = (effect.score, effect.accuracy) if effect is not None else (None, None)
    return {"effect": score and score.facts(), "accuracy_effect": accuracy and accuracy.facts()}


def _group_facts(entry: GroupValue, effect: _Effect | None) -> dict[str, Any]:
    return {
        "images": entry.group.images,
        "share_lowest_fifth": entry.share.estimate,
        "share_between": [entry.share.low, entry.share.high],
        **_facts_of(effect),
        "value": entry.value.facts(),
        "weight": entry.weight and entry.weight.facts(),
    }


def _write_renders(path: Path, renders: Renders) -> None:
    """A row per render, the lowest value first."""
    columns = [("weight", renders.weights), ("value_by_labels", renders.by_labels)]
    there = [(name, column) for name, column in columns if column is not None]
    order = renders.values.argsort(kind="stable").tolist()
    header = ("file", "label", "source", "value", "lowest_fifth", *(name for name, _ in there))
    rows = (
        (
            renders.files[i],
            renders.classes[renders.labels[i]],
            renders.source_names[renders.sources[i]],
            f"{renders.values[i]:.6g}",
            int(renders.lowest[i]),
            *(f"{column[i]:.6g}" for _, column in there),
        )
        for i in order
    )
    replace_rows(path, header, rows)


def _write_kept(path: Path, renders: Renders, held_out: LabelledDomain) -> None:
    """A source without the lowest fifth, which `--source` reads; renders held out stay so. Not for rows of arrays."""
    names, origin = held_out.source_names, held_out.source.whole()
    rows = [
        (file, renders.classes[label], renders.source_names[source], "train")
        for file, label, source, low in zip(renders.files, renders.labels, renders.sources, renders.lowest, strict=True)
        if not low
    ]
    labels = held_out.labels.whole().tolist()
    rows += [(file, renders.classes[labels[k]], names[origin[k]], "val") for k, file in enumerate(held_out.files)]
    if all(Path(file).is_file() for file, *_ in rows):
        absolute = ((Path(file).resolve(), *others) for file, *others in rows)
        replace_rows(path, ("file", "label", "source", "split"), absolute)


def _table(renders: Renders, plan: Sequence[Left], effects: Sequence[_Effect]) -> list[tuple[str, ...]]:
    labelled = any(effect.accuracy for effect in effects)
    rows = [("renders", "number", "in lowest fifth", "earned, nats", *(("earned, points",) if labelled else ()))]
    for part, effect in list(zip(plan, effects, strict=True))[1 : 1 + _SHOWN]:
        out = part.out(0)
        share = f"{100 * renders.lowest[out].mean():.0f} %" if part.rows is not None else "20 %"
        cells = [part.name, f"{out.sum():,}", share, bounds_in_words(effect.score) if effect.score else "-"]
        if labelled:
            cells.append(bounds_in_words(effect.accuracy, 1) if effect.accuracy else "-")
        rows.append(tuple(cells))
    return rows


def _weights_table(renders: Renders) -> list[tuple[str, ...]]:
    entries = _of_kind(renders, "class") + _of_kind(renders, "source")
    rows = [(e.group.name, f"{e.group.images:,}", bounds_in_words(e.value)) for e in entries]
    return [("renders", "number", "mean weight"), *rows]
