"""Which photos of GTSRB come from one track, that is, show one sign on one drive; found by pixels alone.

    python experiments/signs-to-gtsrb/tracks.py .../gtsrb32.npz

measures on the training photos, whose tracks are known: it learns on half of the tracks and looks for the other half.

GTSRB's test set is 421 tracks of 30 photos, shuffled, and nothing says which photo is of which track. Three steps find
them. All that is learned is learned on tracks of the training set:

1. Fisher's discriminants of simple features bring photos of one track near each other.
2. Boosted trees say how likely two neighbours are of one track.
3. The two groups whose photos are on average most likely of one track are joined, up to the length of a track.

No class of a test photo is read. Of training photos the class is a part of the track's name.
"""

import heapq
import sys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier

Photos = NDArray[np.uint8]  # (N, 32, 32, 3)
Reals = NDArray[np.float32]
Numbers = NDArray[np.int64]

COMPONENTS, DISCRIMINANTS, RIDGE = 300, 60, 0.02
# Chosen on training photos, learning from every sixth frame and finding tracks of every third. The test set has all
# frames, so there, too, photos stand closer than those learned from. Stricter values tear tracks apart.
FAR = -6.0  # log-odds of two photos of which neither is a near neighbour of the other
ENOUGH = -5.0  # mean log-odds at which groups are still joined
AT_ONCE = 20_000  # pairs


def tracks(photos: Photos, frames: int, known: Photos, known_tracks: Numbers, known_frames: int) -> Numbers:
    """(N,) the track of each photo, numbered from 0.

    Args:
        frames: photos of a track, at most.
        known: photos (M, 32, 32, 3) whose tracks are known, of other drives.
        known_frames: photos of a track among those.
    """
    judge = learned(Looks.of(known), known_tracks, known_frames)
    return joined(len(photos), *judge(Looks.of(photos), frames), frames)


@dataclass(frozen=True)
class Looks:
    """Of all photos: several descriptions (N, F) that distances are taken in, and a few numbers (N, 6)."""

    spaces: list[Reals]
    numbers: Reals

    @classmethod
    def of(cls, photos: Photos) -> "Looks":
        small = {side: _small(photos, side) for side in (4, 8, 16)}
        grey = small[16] @ np.float32([0.299, 0.587, 0.114])
        coloured = small[8].reshape(len(photos), -1)
        spaces = [_colour(small[8]), _colour(small[4]), coloured, _unit(_centred(grey)), _unit(np.sqrt(_edges(photos)))]
        return cls(spaces, _numbers(photos))

    def rows(self, rows: Numbers) -> "Looks":
        return Looks([space[rows] for space in self.spaces], self.numbers[rows])

    def joint(self) -> Reals:
        """(N, F) all together."""
        colour, coarse, _, grey, edges = self.spaces
        return np.hstack([colour, 2 * coarse, 0.5 * grey, edges, 0.1 * self.numbers])


Judge = Callable[[Looks, int], tuple[Numbers, Numbers, NDArray[np.float64]]]


def learned(known: Looks, known_tracks: Numbers, frames: int) -> Judge:
    """What gives pairs of neighbours (n,), (n,) and their log-odds (n,) of being of one track.

    Discriminants of one half of the tracks show how far apart photos of the other half are, as they will on new ones.
    """
    features, same = [], []
    halves = np.random.default_rng(1).permutation(known_tracks.max() + 1)[known_tracks] % 2
    for half in (0, 1):
        near = _discriminants(known.rows(np.flatnonzero(halves == half)), known_tracks[halves == half])
        others = known.rows(np.flatnonzero(halves != half))
        one, other, measured = _pairs(others, near, frames)
        features.append(measured)
        same.append(known_tracks[halves != half][one] == known_tracks[halves != half][other])
    trees = HistGradientBoostingClassifier(max_iter=200, random_state=0).fit(np.vstack(features), np.hstack(same))
    near = _discriminants(known, known_tracks)

    def judge(looks: Looks, frames: int) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
        one, other, measured = _pairs(looks, near, frames)
        return one, other, trees.decision_function(measured)

    return judge


def joined(count: int, one: Numbers, other: Numbers, odds: NDArray[np.float64], most: int) -> Numbers:
    """(count,) groups of at most so many, by mean log-odds over all pairs of two groups, the highest first."""
    near: list[dict[int, tuple[float, int]]] = [{} for _ in range(count)]  # of a group: sum over judged pairs, how many
    members = [[k] for k in range(count)]
    for i, j, value in zip(one.tolist(), other.tolist(), odds.tolist(), strict=True):
        near[i][j] = near[j][i] = (value, 1)

    heap: list[tuple[float, int, int, int, int]] = []

    def offer(i: int, j: int) -> None:
        (value, judged), a, b = near[i][j], len(members[i]), len(members[j])
        mean = (value + FAR * (a * b - judged)) / (a * b)
        if mean >= ENOUGH and a + b <= most:  # others have to wait until one of the two is larger, or for ever
            heapq.heappush(heap, (-mean, i, j, a, b))

    for i, j in zip(one.tolist(), other.tolist(), strict=True):
        offer(i, j)
    while heap:
        _, i, j, a, b = heapq.heappop(heap)
        if (len(members[i]), len(members[j])) != (a, b):  # another entry has taken its place
            continue
        i, j = (i, j) if len(near[i]) >= len(near[j]) else (j, i)
        members[i] += members[j]
        members[j], taken, near[j] = [], near[j], {}
        del near[i][j], taken[i]
        for k, (value, judged) in taken.items():
            before = near[i].get(k, (0.0, 0))
            near[i][k] = near[k][i] = (before[0] + value, before[1] + judged)
            del near[k][j]
        for k in near[i]:
            offer(i, k)
    groups = np.empty(count, dtype=np.int64)
    for number, rows in enumerate(filter(None, members)):
        groups[rows] = number
    return groups


def training_tracks(classes: Numbers, numbers: Numbers) -> Numbers:
    """(N,) tracks numbered from 0; GTSRB numbers them anew in each class."""
    return np.unique(np.stack([classes, numbers], 1), axis=0, return_inverse=True)[1].ravel()


def agreement(groups: Numbers, truth: Numbers) -> tuple[float, float, float]:
    """F1, precision and recall of "these two photos are of one track", over all pairs."""
    both = _pairs_in(groups * (truth.max() + 1) + truth)
    precision, recall = both / max(_pairs_in(groups), 1), both / _pairs_in(truth)
    return 2 * precision * recall / max(precision + recall, 1e-9), precision, recall


def _pairs_in(groups: Numbers) -> int:
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


# ---- how photos look -----------------------------------------------------------------------------------------------


def _small(photos: Photos, side: int) -> Reals:
    """(N, side, side, 3) in [0, 1]."""
    resized = [cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA) for photo in photos]
    return np.stack(resized).astype(np.float32) / 255


def _colour(small: Reals) -> Reals:
    """(N, F) shares of red, green and blue, which light and exposure of one drive keep."""
    return (small / (small.sum(3, keepdims=True) + np.float32(0.2))).reshape(len(small), -1)


def _centred(grey: Reals) -> Reals:
    flat = grey.reshape(len(grey), -1)
    return flat - flat.mean(1, keepdims=True)


def _unit(rows: Reals) -> Reals:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + np.float32(1e-6))


def _edges(photos: Photos, cell: int = 4, turns: int = 9) -> Reals:
    """(N, 576) strength of edges by direction in 8 x 8 cells, of the channel with the strongest."""
    wide = photos.astype(np.float32) / 255
    x, y = np.zeros_like(wide), np.zeros_like(wide)
    x[:, :, 1:-1], y[:, 1:-1] = wide[:, :, 2:] - wide[:, :, :-2], wide[:, 2:] - wide[:, :-2]
    strength = np.hypot(x, y)
    channel = strength.argmax(3)[..., None]
    strength, x, y = (np.take_along_axis(of, channel, 3)[..., 0] for of in (strength, x, y))  # (N, 32, 32)
    turn = np.arctan2(y, x) % np.pi / np.pi * turns
    low, part = np.floor(turn).astype(np.int64) % turns, turn - np.floor(turn)
    cells = []
    for k in range(turns):
        weight = strength * ((low == k) * (1 - part) + ((low + 1) % turns == k) * part)
        cells.append(weight.reshape(len(photos), 32 // cell, cell, 32 // cell, cell).sum((2, 4)))  # (N, 8, 8)
    return np.stack(cells, 3).reshape(len(photos), -1)


def _numbers(photos: Photos) -> Reals:
    """(N, 6) brightness, contrast, sharpness, and the shares of the three colours."""
    wide = photos.astype(np.float32) / 255
    grey = wide @ np.float32([0.299, 0.587, 0.114])
    beside = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    rough = np.abs(4 * grey[:, 1:-1, 1:-1] - beside).mean((1, 2))
    contrast, mean = grey.std((1, 2)), wide.mean((1, 2))
    logs = np.log(grey.mean((1, 2)) + 0.01), np.log(contrast + 0.01), np.log(rough / (contrast + 0.01) + 0.001)
    return np.column_stack([*logs, mean / (mean.sum(1, keepdims=True) + 0.02)]).astype(np.float32)


# ---- how near photos are -------------------------------------------------------------------------------------------


def _discriminants(looks: Looks, tracks: Numbers) -> Callable[[Looks], Reals]:
    """Fisher's: directions in which tracks differ most from each other, by how much photos of one track do."""
    tracks = np.unique(tracks, return_inverse=True)[1]
    principal = PCA(COMPONENTS, svd_solver="randomized", random_state=0)
    rows = principal.fit_transform(looks.joint())
    means = np.zeros((tracks.max() + 1, COMPONENTS))
    np.add.at(means, tracks, rows)
    means /= np.bincount(tracks)[:, None]
    left = rows - means[tracks]
    within = left.T @ left / len(left)
    within += RIDGE * np.trace(within) / COMPONENTS * np.eye(COMPONENTS)
    directions = scipy.linalg.eigh(np.cov(means.T), within)[1][:, ::-1][:, :DISCRIMINANTS]
    return lambda others: (principal.transform(others.joint()) @ directions).astype(np.float32)


def _pairs(looks: Looks, near: Callable[[Looks], Reals], frames: int) -> tuple[Numbers, Numbers, Reals]:
    """Pairs of neighbours, (n,) and (n,), and what is measured of each, (n, F)."""
    rows = near(looks)
    neighbours = _neighbours(rows, 2 * frames)
    one = np.repeat(np.arange(len(rows)), neighbours.shape[1])
    other = neighbours.ravel()
    one, other = np.divmod(np.unique(np.minimum(one, other) * len(rows) + np.maximum(one, other)), len(rows))
    apart = [_apart(space, one, other) for space in (rows, *looks.spaces)]
    first, fifth = (_apart(rows, np.arange(len(rows)), neighbours[:, k]) for k in (0, 4))
    length = np.linalg.norm(rows, axis=1)
    by_local = [
        apart[0] / np.sqrt(first[one] * first[other]),
        apart[0] / np.minimum(first[one], first[other]),
        apart[0] / np.sqrt(fifth[one] * fifth[other]),
    ]
    differ, total = np.abs(looks.numbers[one] - looks.numbers[other]), looks.numbers[one] + looks.numbers[other]
    turned = 1 - (apart[0] ** 2 - (length[one] - length[other]) ** 2) / (2 * length[one] * length[other])  # cosine
    lengths = [length[one] + length[other], np.abs(length[one] - length[other]), turned]
    return one, other, np.column_stack([*apart, *by_local, differ, total[:, :3], *lengths])


def _neighbours(rows: Reals, count: int) -> Numbers:
    """(N, count) the nearest rows of each, nearest first."""
    squares, found = (rows**2).sum(1), np.empty((len(rows), count), dtype=np.int64)
    for start in range(0, len(rows), 1000):
        mine = np.arange(start, min(start + 1000, len(rows)))
        distances = squares - 2 * rows[mine] @ rows.T
        distances[mine - start, mine] = np.inf
        nearest = np.argpartition(distances, count, axis=1)[:, :count]
        order = np.take_along_axis(distances, nearest, 1).argsort(1)
        found[mine] = np.take_along_axis(nearest, order, 1)
    return found


def _apart(rows: Reals, one: Numbers, other: Numbers) -> Reals:
    """(n,) distances."""
    starts = range(0, len(one), AT_ONCE)
    parts = [(one[start : start + AT_ONCE], other[start : start + AT_ONCE]) for start in starts]
    return np.concatenate([np.linalg.norm(rows[a] - rows[b], axis=1) for a, b in parts]) + np.float32(1e-9)


def main() -> None:
    with np.load(sys.argv[1]) as gtsrb:
        photos = gtsrb["x_train"]
        truth = training_tracks(gtsrb["y_train"], gtsrb["track_train"])
    half = np.isin(truth, np.random.default_rng(0).permutation(truth.max() + 1)[: (truth.max() + 1) // 2])
    known = np.unique(truth[half], return_inverse=True)[1]
    found = tracks(photos[~half], 10, photos[half], known, 10)
    f1, precision, recall = agreement(found, truth[~half])
    print(f"F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}")
    print(f"{found.max() + 1} groups of at most {np.bincount(found).max()}, {len(np.unique(truth[~half]))} tracks")


if __name__ == "__main__":
    main()
