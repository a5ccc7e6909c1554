"""Findings as sentences, each with what to do."""

__all__ = ["advice"]

from collections.abc import Sequence

import numpy as np

from weighbridge.inspection.names import letters
from weighbridge.inspection.records import Domain, Pair
from weighbridge.inspection.wording import NUMBERS, SHARES, are, count_of, number, percent

_SHARES_APART = 0.5  # between the shares of images that have a cue
_ONE_SIZE = 0.9  # of the images: they are "all" of one size
_SIDES_APART = 1.5  # factor between median sides
_NOISE_APART = 3.0  # factor, with half a level added to both
_GRID_APART = 0.15  # JPEG of quality 50 is 0.25 above a PNG of the same pixels, of quality 75 0.12
_QUALITY_APART = 2.0  # factor between quantisation sums
_BRIGHTNESS_APART = 50.0  # levels
_CONTRAST_APART = 2.0  # factor
_MANY_COPIES = 0.01  # of the images of a domain
_SHARES = (  # cue, what the images that have it do, what to do
    ("bordered", "have a uniform border", "Draw backgrounds behind the objects, or crop both domains alike"),
    ("alpha", "have an alpha channel", "Transparency becomes white, so draw backgrounds behind the objects"),
    ("grey", "are grey", "Set channels = 1"),
    ("square", "are square", "Keep fit = crop, which neither squeezes nor pads the others"),
    ("jpeg", "are JPEG files", "Save both domains in the same format and quality"),
)


def advice(domains: Sequence[Domain], pairs: Sequence[Pair]) -> list[str]:
    """The most serious first: what makes numbers meaningless, then training wrong, then the domains easy to tell."""
    by_name = {domain.name: domain for domain in domains}
    crossing = [(by_name[pair.first], by_name[pair.second], pair) for pair in pairs if pair.first != pair.second]
    said = [f"No image in '{d.path}' can be used. Give a folder with images" for d in domains if not d.tally["used"]]
    if not domains[0].labelled:
        said.append(
            f"'{domains[0].name}' is the source and has no classes. Sort its images into a folder per class, "
            "or give a CSV manifest with columns file,label"
        )
    leaks = [(_evaluates(one, other), _leak(one, other, pair)) for one, other, pair in crossing if pair.shared]
    said += [sentence for _, sentence in sorted(leaks, key=lambda leak: not leak[0])]
    said += [
        f"No folder of '{d.name}' has the name of a class of '{domains[0].name}', so nothing in it can be evaluated. "
        "Rename its folders"
        for d in domains[2:]
        if d.classes and not d.labelled
    ]
    for one, other, pair in crossing:
        said += _class_gap(one, other, pair)
    for pair in pairs:
        said += _contradictions(pair, by_name[pair.first])
    for domain in domains:
        said += _of_one(domain)
    seen = [domain for domain in domains[1:] if domain.tally["used"]]
    if seen and seen[0] is domains[1]:
        if domains[0].tally["used"]:
            said += _giveaways(domains[0], domains[1]).values()
        unlike = [(domain, _giveaways(domains[1], domain)) for domain in seen[1:]]
        said += [
            f"'{domain.name}' does not look like '{domains[1].name}' ({', '.join(differences)}). "
            f"Accuracy on it is not accuracy on '{domains[1].name}'. Evaluate on images of the same kind"
            for domain, differences in unlike
            if differences
        ]
    return said


def _leak(one: Domain, other: Domain, pair: Pair) -> str:
    exact, near = pair.exact_files[1], pair.shared - pair.exact_files[1]
    how = " and ".join(
        [*([f"{exact:,} identical"] if exact else []), *([f"{near:,} nearly identical"] if near else [])],
    )
    start = f"{count_of(pair.shared, 'image')} of '{other.name}' {are(pair.shared)} also in '{one.name}' ({how})"
    if _evaluates(one, other):
        return f"{start}. Accuracy on them is meaningless. Remove them from one of the two"
    return f"{start}. Images in both cannot show how the two differ. Remove them from one of the two"


def _evaluates(one: Domain, other: Domain) -> bool:
    return one.role != other.role and "evaluation" in (one.role, other.role)


def _class_gap(one: Domain, other: Domain, pair: Pair) -> list[str]:
    said = []
    for here, there, names in ((one, other, pair.only_first), (other, one, pair.only_second)):
        if here.role != "source" and there.role != "source":
            continue
        near = {name: close for name, close in names.items() if close}
        same = {name: close for name, close in near.items() if letters(name) == letters(close)}
        if names:
            hints = [f"'{name}' is nearest to '{close}'" for name, close in [*same.items(), *near.items()][:3]]
            hint = f" ({'; '.join(dict.fromkeys(hints))})" if hints else ""
            few = ", ".join(f"'{name}'" for name in list(names)[:5]) + (" ..." if len(names) > 5 else "")
            classes = "1 class" if len(names) == 1 else f"{len(names):,} classes"
            do = "Rename or merge them" if near else f"Add images of them to '{there.name}', or leave them out"
            said.append(f"'{here.name}' has {classes} that '{there.name}' does not have: {few}{hint}. {do}")
    return said


def _contradictions(pair: Pair, domain: Domain) -> list[str]:
    said = []
    if pair.conflicts:
        one, its, other, another = pair.conflicting[0]
        where = f"in '{pair.first}'" + (f" and '{pair.second}'" if pair.first != pair.second else "")
        said.append(
            f"{count_of(pair.conflicts, 'image')} {where} {are(pair.conflicts)} filed under two classes, such as "
            f"{one} ({its}) and {other} ({another}). Keep the right one"
        )
    if pair.first == pair.second:
        if pair.across_splits:
            said.append(
                f"Duplicates in '{pair.first}' lie in two splits ({count_of(pair.across_splits, 'pair')}), so images "
                "that are tested were trained on. Remove one of each"
            )
        if pair.shared > _MANY_COPIES * domain.tally["used"] and domain.labelled and not domain.groups:
            said.append(
                f"{count_of(pair.shared, 'image')} of '{pair.first}' {are(pair.shared)} exact or near duplicates "
                "of others in it, so held-out images are trained on. Remove them, or list the images in a CSV with the "
                "columns file, label and group, and give duplicates one group"
            )
    return said


def _of_one(domain: Domain) -> list[str]:
    said = []
    quarantined = domain.tally["quarantined"]
    if quarantined:
        file, _, reason = next(row for row in domain.rejected if row[1] == "quarantined")
        every = count_of(quarantined + domain.tally["used"], "image")
        said.append(
            f"{quarantined:,} of {every} of '{domain.name}' cannot be used, "
            f"the first being {file}: {reason}. Replace or remove them"
        )
    if domain.without_class and domain.labelled:
        said.append(
            f"{count_of(domain.without_class, 'image')} of '{domain.name}' {are(domain.without_class)} in no class "
            "folder. Give them a class, or remove them"
        )
    if domain.empty_classes:
        names = ", ".join(f"'{name}'" for name in domain.empty_classes[:5])
        said.append(f"Class folders of '{domain.name}' without any file: {names}. Fill or remove them")
    if domain.near_empty:
        names = ", ".join(f"'{name}' ({count})" for name, count in list(domain.near_empty.items())[:5])
        said.append(f"Classes of '{domain.name}' with very few images: {names}. Add images, or leave the classes out")
    return said


def _giveaways(one: Domain, other: Domain) -> dict[str, str]:
    """Differences that a domain classifier finds without looking at any object, and a sentence for each."""
    said: dict[str, str] = {}
    tail = "tells the domains apart"
    names = f"'{one.name}'", f"'{other.name}'"
    sides = [np.sqrt(d.quantiles["width"][2] * d.quantiles["height"][2]) for d in (one, other)]
    uniform = [d.cues["one_size"] >= _ONE_SIZE for d in (one, other)]
    if max(sides) > _SIDES_APART * min(sides) or (any(uniform) and one.sizes[0][:2] != other.sizes[0][:2]):
        said["resolution"] = (
            f"{_size_of(one)}, {_size_of(other)}. Resolution {tail}. Make both of about one size, "
            "or set image_size to the smaller"
        )
    for key, words, do in _SHARES:
        shares = one.cues.get(key), other.cues.get(key)
        if shares[0] is not None and shares[1] is not None and abs(shares[0] - shares[1]) > _SHARES_APART:
            first, second = map(percent, shares)
            said[SHARES[key]] = f"{first} of {names[0]} {words}, {second} of {names[1]}. This {tail}. {do}"
    numbers = one.cues, other.cues
    for key, words, do in (
        ("noise", "noise of {} levels", "Set noise, or make renders as noisy or smooth as the photos"),
        ("grid", "8 x 8 compression blocks of strength {}", "Save both with the same compression"),
        ("quality", "a JPEG quantisation of {}", "Save both with the same JPEG quality"),
    ):
        if key in numbers[0] and key in numbers[1]:
            low, high = sorted((numbers[0][key], numbers[1][key]))
            far = {
                "noise": high + 0.5 > _NOISE_APART * (low + 0.5),
                "grid": high - low > _GRID_APART,
                "quality": high > _QUALITY_APART * low,
            }
            if far[key]:
                first, second = (words.format(number(cues[key])) for cues in numbers)
                second = second.split(" of ")[-1]
                said[NUMBERS[key]] = f"{names[0]} has {first}, {names[1]} {second}. This {tail}. {do}"
    (mean_a, contrast_a), (mean_b, contrast_b) = one.colour["brightness"], other.colour["brightness"]
    if abs(mean_a - mean_b) > _BRIGHTNESS_APART:
        said["brightness"] = (
            f"Mean brightness is {mean_a:.0f} in {names[0]} and {mean_b:.0f} in {names[1]}. This {tail}. "
            "Set brightness, or normalisation = per-image"
        )
    if max(contrast_a, contrast_b) > _CONTRAST_APART * min(contrast_a, contrast_b):
        said["contrast"] = (
            f"Brightness varies by {contrast_a:.0f} levels in {names[0]} and {contrast_b:.0f} in {names[1]}. This "
            f"{tail}. Set contrast, or normalisation = per-image"
        )
    return said


def _size_of(domain: Domain) -> str:
    width, height, _ = domain.sizes[0]
    if domain.cues["one_size"] >= _ONE_SIZE:
        share = "all" if domain.cues["one_size"] == 1.0 else percent(domain.cues["one_size"])
        return f"'{domain.name}' is {width} x {height} ({share})"
    middle = (domain.quantiles[key][2] for key in ("width", "height"))
    return f"'{domain.name}' is {' x '.join(map(number, middle))} in the median"
