"""From results to the rows of a table."""

import math

import pytest

from report.made import results, table_of


def test_differences_are_paired_seed_by_seed():
    table = table_of(results(dann=[0.2, 0.5, 0.8], weighted=[0.3, 0.6, 0.9]))
    difference = table.rows[1].differences[0]
    assert difference.to == "dann"
    assert difference.interval.low == pytest.approx(10.0)  # always ten points, whatever the seeds are worth
    assert difference.interval.high == pytest.approx(10.0)


def test_sampling_error_of_the_evaluation_images():
    table = table_of(results(images=100, dann=[0.8], weighted=[0.8]))
    assert table.sampling_error == pytest.approx(100 * math.sqrt(0.8 * 0.2 / 100))


def test_the_baseline_is_dann_without_weights():
    data = results(dann=[0.9, 0.91], weighted=[0.85, 0.86])
    weighted_dann_row = {**data["tasks"][0]["rows"][0], "weighting": "paper", "name": "DANN, paper"}
    weighted_dann_row["runs"] = [{**run, "accuracies": {"e": 0.8}} for run in weighted_dann_row["runs"]]
    data["tasks"][0]["rows"].insert(0, weighted_dann_row)
    row = table_of(data).rows[2]
    assert {d.to: d.interval.mean for d in row.differences}["dann"] == pytest.approx(-5.0)
    data["tasks"][0]["rows"].pop(1)
    assert "dann" not in {d.to for d in table_of(data).rows[1].differences}


def test_a_variant_is_nobody_s_baseline():
    data = results(dann=[0.5, 0.5], weighted=[0.7, 0.7])
    variant = {**data["tasks"][0]["rows"][0], "name": "gentle", "variant": True}
    variant["runs"] = [{**run, "accuracies": {"e": 0.6}} for run in variant["runs"]]
    data["tasks"][0]["rows"].append(variant)
    table = table_of(data)
    means = [{d.to: d.interval.mean for d in row.differences} for row in table.rows]
    assert means[1]["dann"] == pytest.approx(20.0)
    assert means[2]["dann"] == pytest.approx(10.0)
