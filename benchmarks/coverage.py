"""How often the intervals of the tables contain the truth, where photos come in groups and seeds vary.

    ./run python benchmarks/coverage.py                     # 2,000 comparisons a row, about a minute
    ./run python benchmarks/coverage.py --repetitions 200

Two methods are compared on the same photos and the same seeds. Whether a photo is told right is a normal variable below
a threshold, with one part for the group, one for the group under this method, one for the group under this method and
seed, one for the seed and one for the photo. So the true accuracy is known exactly. Truth is the mean over all photos
and all seeds that could have been drawn. A 95 % interval should contain it 95 times in 100; 2,000 repetitions tell
that to within a point.

    binomial  one accuracy ± 1.96 sampling errors of N independent photos, as tables had it
    student   a difference, Student's t over the seeds, as tables had it
    accuracy, difference    weighbridge.report.uncertainty
    CGM       a difference, two-way clustering that takes the interaction off

Tried, in points of coverage for S = 2, 3 and 5, 40 to 2,000 groups:

difference
    CGM, the interaction of residuals to the grand mean taken off   90 to 97; 85 to 88 for S = 2 and large seed effects
    CGM, the interaction of double-centred residuals taken off      up to 1 above that
    sum of both, degrees of freedom of the smaller part             97 to 100
    sum, root of t(S-1)^2 V_seeds + t(G-1)^2 V_groups               95 to 100, twice as wide for S = 2
    sum, Satterthwaite                                              92 to 98; 88 for S = 2 and large seed effects
    sum, Satterthwaite, never narrower than one part alone          94 to 99: chosen

accuracy, sum in every form
    linear                                  68 to 97; too low above 95 % with 40 groups, since few groups err
    logit, G-1                              83 to 97
    logit, jackknife, Kish's groups less 1  86 to 97
    Wilson, Clopper and Pearson with the effective number of photos (Korn and Graubard)     82 to 98
    logit, jackknife, freedom from fourth moments           90 to 97: chosen
    logit, jackknife, freedom (sum x)^2 / sum x^2 - 1       96 to 99, but up to 100 points wide
"""

import argparse

import numpy as np
from scipy import optimize, special, stats

from weighbridge.report.statistics import paired_difference, sampling_error
from weighbridge.report.uncertainty import (
    accuracy_interval,
    estimate,
    photo_covariance,
    photo_freedom,
    variance_of_difference,
)

CORRELATION = 0.55  # of two photos of a group in being told right
SHARES = (0.8, 0.1, 0.1)  # of the group's part: the same for all; this method; this method and seed
UNEVEN = np.maximum(1, np.exp(np.random.default_rng(5).normal(2.8, 1, 421))).astype(int)
SIZES = {
    "421 of 30": np.full(421, 30),
    "421 uneven": UNEVEN,
    "40 of 30": np.full(40, 30),
    "40 uneven": UNEVEN[:40],
    "300 of 1": np.full(300, 1),
}
ACCURACIES = ((97.0, 96.0), (90.0, 88.0))
SEEDS = ((1, 0.0), (3, 0.3), (5, 0.3), (5, 2.0))  # number, spread of accuracy between seeds in points


def latent_correlation(share, correlation):
    """Correlation of the normal variables of two photos that are told right as often as `share`."""

    def beyond(rho):
        both = stats.multivariate_normal.cdf([special.ndtri(share)] * 2, cov=[[1, rho], [rho, 1]])
        return (both - share**2) / (share * (1 - share)) - correlation

    return optimize.brentq(beyond, 0, 0.999)


def simulate(generator, repetitions, sizes, accuracies, seeds, spread):
    """Photos told right, (repetitions, 2, S, G)."""
    groups, share = len(sizes), np.array(accuracies) / 100
    threshold = special.ndtri(share)  # (2,)
    rho = latent_correlation(share.mean(), CORRELATION)
    of_seed = spread / 100 / stats.norm.pdf(threshold)  # (2,)
    for _ in range(repetitions):
        value = (threshold * np.sqrt(1 + of_seed**2))[:, None, None]  # (2, 1, 1)
        value = value + of_seed[:, None, None] * generator.standard_normal((2, seeds, 1))
        for part, shape in zip(SHARES, ((1, 1, groups), (2, 1, groups), (2, seeds, groups)), strict=True):
            value = value + np.sqrt(rho * part) * generator.standard_normal(shape)  # (2, S, G)
        yield generator.binomial(sizes, special.ndtr(value / np.sqrt(1 - rho)))


def cgm(differences, right, sizes, variance, groups):
    """Half the width of the interval by two-way clustering, at least as large as of either part."""
    apart = right[0] - right[1]  # (S, G)
    cells = apart - apart.sum() / apart.size / sizes.mean() * sizes
    interaction = 100**2 * (cells**2).sum() / (len(apart) * sizes.sum()) ** 2
    of_seeds = differences.var(ddof=1) / len(differences)
    both = max(of_seeds + variance - interaction, of_seeds, variance)
    freedom = (of_seeds + variance) ** 2 / (of_seeds**2 / (len(apart) - 1) + variance**2 / (groups - 1))
    return special.stdtrit(freedom, 0.975) * np.sqrt(both)


def row(generator, repetitions, sizes, accuracies, seeds, spread):
    """Percent of the repetitions in which each interval contains the truth."""
    held = {"binomial": [], "accuracy": [], "student": [], "CGM": [], "difference": []}
    truth, photos = accuracies[0] - accuracies[1], sizes.sum()
    for right in simulate(generator, repetitions, sizes, accuracies, seeds, spread):
        by_seed = 100 * right.sum(axis=2) / photos  # (2, S)
        covariance, freedom = photo_covariance(right, sizes), photo_freedom(right, sizes)
        mean, differences = by_seed[0].mean(), by_seed[0] - by_seed[1]
        held["binomial"].append(abs(mean - accuracies[0]) <= 1.96 * sampling_error(mean, photos))
        inside(held["accuracy"], accuracy_interval(by_seed[0], covariance[0, 0], freedom[0, 0]), accuracies[0])
        variance = variance_of_difference(covariance, 0, 1)
        inside(held["difference"], estimate(differences, variance, freedom[0, 1]).interval(), truth)
        if seeds > 1:
            inside(held["student"], paired_difference(*by_seed), truth)
            held["CGM"].append(abs(differences.mean() - truth) <= cgm(differences, right, sizes, variance, len(sizes)))
    return {name: f"{100 * np.mean(hits):.1f}" if hits else "-" for name, hits in held.items()}


def inside(hits, interval, truth):
    hits.append(interval.low <= truth <= interval.high)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000, help="comparisons per row (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (default 0)")
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    print("| groups | accuracies | seeds | seed spread | binomial | accuracy | student | CGM | difference |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, sizes in SIZES.items():
        for accuracies in ACCURACIES:
            for seeds, spread in SEEDS:
                found = row(generator, options.repetitions, sizes, accuracies, seeds, spread)
                told = [name, "{:g}, {:g}".format(*accuracies), seeds, spread, *found.values()]
                print("| " + " | ".join(map(str, told)) + " |", flush=True)


if __name__ == "__main__":
    main()
