"""From results to the rows of a table."""

import math

import pytest
from scipy import stats

from report.made import results, table_of
from weighbridge.report.summary import Scores, contrast_to
from weighbridge.report.tables import table_note
from weighbridge.report.uncertainty import holm


def test_differences_are_paired_seed_by_seed():
    table = table_of(results(dann=[0.2, 0.5, 0.8], weighted=[0.3, 0.6, 0.9]))
    contrast = table.rows[1].contrasts[0]
    assert (contrast.to, contrast.name) == ("dann", "DANN")
    interval = contrast.estimate.interval()
    assert interval.low == pytest.approx(10.0)  # always ten points, whatever the seeds are worth
    assert interval.high == pytest.approx(10.0)


def test_photos_whose_groups_nobody_knows_are_taken_one_by_one():
    table = table_of(results(images=100, dann=[0.8], weighted=[0.8]))
    assert table.photo_margin == pytest.approx(1.96 * 100 * math.sqrt(0.8 * 0.2 / 100))
    assert (table.groups, table.grouped_by) == (None, None)


def with_photo_errors(data, covariance, groups=30):
    freedom = [[groups - 1.0] * len(covariance) for _ in covariance]
    known = {"groups": groups, "grouped_by": "group", "covariance": covariance, "freedom": freedom}
    data["tasks"][0]["evaluations"][0] |= known
    return data


def test_intervals_hold_the_error_of_photos_beside_that_of_seeds():
    data = with_photo_errors(results(dann=[0.5, 0.5], weighted=[0.6, 0.6]), [[4.0, 3.0], [3.0, 4.0]])
    table = table_of(data)
    interval = table.rows[1].contrasts[0].estimate.interval()
    assert interval.mean == pytest.approx(10.0)  # the seeds agree; the photos' variance is 4 + 4 - 2 * 3 = 2
    assert (interval.high - interval.mean) == pytest.approx(stats.t.ppf(0.975, 29) * math.sqrt(2))
    assert table.photo_margin == pytest.approx(stats.t.ppf(0.975, 29) * 2)
    alone = Scores(data["tasks"][0]["rows"], data["tasks"][0]["evaluations"][0]).accuracy(0)
    assert alone.low < 50 - 2 * 2


def test_one_group_of_photos_tells_nothing_of_others():
    data = results(images=400, dann=[0.5, 0.5], weighted=[0.6, 0.6])
    data["tasks"][0]["evaluations"][0] |= {"groups": 1, "grouped_by": "group", "covariance": None, "freedom": None}
    table = table_of(data)
    assert (table.photo_margin, table.over_photos) == (None, False)
    assert "over seeds alone" in table_note(table)


def test_a_gain_is_the_distance_to_the_best_control():
    table = table_of(results(source_only=[0.5, 0.52], adabn=[0.6, 0.62], dann=[0.7, 0.72]))
    assert table.best_control == "source only, AdaBN"
    (contrast,) = table.rows[2].contrasts
    assert (contrast.to, contrast.name) == ("best control", "source only, AdaBN")
    assert contrast.estimate.mean == pytest.approx(10.0)
    assert [row.control for row in table.rows] == [True, True, False]
    assert not table.rows[0].contrasts
    assert not table.rows[1].contrasts


def test_a_seed_that_diverged_counts_as_the_control_whose_model_its_user_had():
    data = results(source_only=[0.5, 0.52], dann=[0.7, None])
    lost = data["tasks"][0]["rows"][1]["runs"][1]
    lost |= {"accuracies": {"e": 0.52}, "counts_as": "source only"}
    row = table_of(data).rows[1]
    assert (row.n, row.diverged, row.counts_as) == (2, 1, "source only")
    assert row.accuracy == pytest.approx(61.0)
    assert contrast_to(row, "best control").estimate.mean == pytest.approx(10.0)


def test_every_class_counts_alike_in_the_class_mean():
    data = results(dann=[0.9, 0.9])
    for run in data["tasks"][0]["rows"][0]["runs"]:
        run["class_means"] = {"e": 0.4}
    assert table_of(data).rows[0].class_mean == pytest.approx(40.0)
    assert table_of(results(dann=[0.9])).rows[0].class_mean is None


def test_p_values_are_corrected_over_all_contrasts_but_the_one_named_beforehand():
    rows = {"source_only": [0.50, 0.51, 0.53], "dann": [0.55, 0.60, 0.56], "weighted": [0.56, 0.57, 0.60]}
    data = results(**rows)
    plain = {(row.name, found.to): found for row in table_of(data).rows for found in row.contrasts}
    assert set(plain) == {
        ("DANN", "best control"),
        ("weighted DANN", "best control"),
        ("weighted DANN", "dann"),
    }
    raw = {key: found.estimate.p_value() for key, found in plain.items()}
    assert sorted(found.p for found in plain.values()) == pytest.approx(sorted(holm(list(raw.values()))))
    data["primary"] = {"method": "weighted DANN", "control": "best control", "margin": 1.0}
    table = table_of(data)
    named = {(row.name, found.to): found.p for row in table.rows for found in row.contrasts}
    key = ("weighted DANN", "best control")
    assert named[key] == raw[key]
    others = [raw[other] for other in raw if other != key]
    assert sorted(named[other] for other in raw if other != key) == pytest.approx(sorted(holm(others)))
    assert (table.primary.method, table.primary.control, table.primary.margin) == ("weighted DANN", "source only", 1.0)


def test_a_primary_contrast_may_name_its_control():
    data = results(source_only=[0.5, 0.5], adabn=[0.6, 0.6], dann=[0.7, 0.7])
    data["primary"] = {"method": "DANN", "control": "source only", "margin": 2.0}
    assert table_of(data).primary.estimate.mean == pytest.approx(20.0)


def test_the_baseline_is_dann_without_weights():
    data = results(dann=[0.9, 0.91], weighted=[0.85, 0.86])
    weighted_dann_row = {**data["tasks"][0]["rows"][0], "weighting": "paper", "name": "DANN, paper"}
    weighted_dann_row["runs"] = [{**run, "accuracies": {"e": 0.8}} for run in weighted_dann_row["runs"]]
    data["tasks"][0]["rows"].insert(0, weighted_dann_row)
    row = table_of(data).rows[2]
    assert contrast_to(row, "dann").estimate.mean == pytest.approx(-5.0)
    data["tasks"][0]["rows"].pop(1)
    assert contrast_to(table_of(data).rows[1], "dann") is None


def test_a_variant_is_nobody_s_baseline():
    data = results(dann=[0.5, 0.5], weighted=[0.7, 0.7])
    variant = {**data["tasks"][0]["rows"][0], "name": "gentle", "variant": True}
    variant["runs"] = [{**run, "accuracies": {"e": 0.6}} for run in variant["runs"]]
    data["tasks"][0]["rows"].append(variant)
    table = table_of(data)
    assert contrast_to(table.rows[1], "dann").estimate.mean == pytest.approx(20.0)
    assert contrast_to(table.rows[2], "dann").estimate.mean == pytest.approx(10.0)
