"""From results to a table and to sentences."""

import math

import numpy as np
import pytest

from weighbridge.report.sentences import findings
from weighbridge.report.statistics import disagreement, paired_difference
from weighbridge.report.summary import summarise
from weighbridge.report.tables import csv_table, how_it_was_made, markdown_table, table_cells, table_note


def results(images=100, **rows):
    """rows: method name -> accuracies over seeds; None for a seed that diverged."""
    names = {
        "source_only": ("source-only", None, "source only"),
        "dann": ("dann", None, "DANN"),
        "weighted": ("weighted-dann", "paper", "weighted DANN"),
        "uniform": ("weighted-dann", "uniform", "weighted DANN, uniform"),
    }
    listed = []
    for key, accuracies in rows.items():
        method, weighting, name = names[key]
        runs = [
            {
                "seed": seed,
                "folder": f"seed-{seed}/{method}",
                "accuracy": accuracy,
                "source_accuracy": None if accuracy is None else 0.99,
                "prediction_entropy": None if accuracy is None else 0.1,
                "domain_accuracy": None if accuracy is None or key == "source_only" else 0.6,
                "seconds": None if accuracy is None else 2.0,
                "diverged_at": 17 if accuracy is None else None,
            }
            for seed, accuracy in enumerate(accuracies)
        ]
        listed.append({"method": method, "weighting": weighting, "name": name, "runs": runs})
    return {
        "title": "T",
        "rows": listed,
        "seeds": list(range(len(listed[0]["runs"]))),
        "labels": "No label was read.",
        "command": "weighbridge compare --out c",
        "task": {
            "source": [{"name": "slow", "images": 1800}, {"name": "fa\udce9st", "images": 450}],
            "held_out": 250,
            "target": {"name": "photos", "images": 3000},
            "evaluation": {"name": "e", "images": images} if images else None,
            "classes": ["a", "b"],
        },
    }


def test_the_interval_of_three_differences_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3)
    interval = paired_difference([2, 4, 6], [1, 2, 3])
    assert interval.mean == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2 - interval.low == pytest.approx(2.48414, rel=1e-5)


def test_one_seed_has_no_interval():
    interval = paired_difference([0.5], [0.25])
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.25, None, None, 1)


def test_differences_are_paired_seed_by_seed():
    summary = summarise(results(dann=[0.2, 0.5, 0.8], weighted=[0.3, 0.6, 0.9]))
    difference = summary.rows[1].differences[0]
    assert difference.to == "dann"
    assert difference.interval.low == pytest.approx(10.0)  # always ten points, whatever the seeds are worth
    assert difference.interval.high == pytest.approx(10.0)


def test_a_seed_that_diverged_is_counted_said_and_left_out_of_the_pairs():
    summary = summarise(results(dann=[0.5, None, 0.6], weighted=[0.6, 0.1, 0.7]))
    assert summary.rows[0].diverged == 1
    assert summary.rows[1].differences[0].interval.n == 2
    assert summary.rows[1].differences[0].interval.mean == pytest.approx(10.0)
    assert "DANN: 1 of 3 seeds diverged and are left out." in findings(summary)
    assert "DANN (1 diverged)" in markdown_table(summary)


def test_sampling_error_of_the_evaluation_images():
    summary = summarise(results(images=100, dann=[0.8], weighted=[0.8]))
    assert summary.sampling_error == pytest.approx(100 * math.sqrt(0.8 * 0.2 / 100))


def said(**rows):
    return " ".join(findings(summarise(results(**rows))))


def test_winning_losing_and_not_knowing_are_said_in_words():
    base = {"source_only": [0.5, 0.51, 0.52]}
    assert "weighted DANN beat DANN: +10.0" in said(**base, dann=[0.6, 0.61, 0.62], weighted=[0.7, 0.71, 0.72])
    assert "weighted DANN lost to DANN: -10.0" in said(**base, dann=[0.7, 0.71, 0.72], weighted=[0.6, 0.61, 0.62])
    unsure = said(**base, dann=[0.6, 0.7, 0.5], weighted=[0.65, 0.6, 0.58])
    assert "weighted DANN and DANN: no difference that we can be sure of" in unsure


def test_negative_transfer_is_said():
    assert "Negative transfer: DANN is worse than not adapting at all, -10.0" in said(
        source_only=[0.6, 0.61, 0.62], dann=[0.5, 0.51, 0.52]
    )


def test_what_the_weights_themselves_are_worth_is_said():
    text = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[0.69, 0.7, 0.71])
    assert "The weights themselves: +1.0 [-1.5, +3.5] points over 3 seeds" in text
    assert "with all weights at 1, which may be luck." in text
    sure = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[0.6, 0.62, 0.61])
    assert "+10.0 [+10.0, +10.0] points over 3 seeds against the same training with all weights at 1." in sure


def test_the_weights_are_judged_on_the_seeds_that_both_have():
    text = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[None, None, 0.95])
    assert "The weights themselves: -24.0 points over one seed" in text
    assert "Highest mean accuracy: weighted DANN, uniform with 95.0 % over one seed of 3." in text


def test_the_baseline_is_dann_without_weights():
    data = results(dann=[0.9, 0.91], weighted=[0.85, 0.86])
    weighted_dann_row = {**data["rows"][0], "weighting": "paper", "name": "DANN, paper"}
    weighted_dann_row["runs"] = [{**run, "accuracy": 0.8} for run in weighted_dann_row["runs"]]
    data["rows"].insert(0, weighted_dann_row)
    row = summarise(data).rows[2]
    assert {d.to: d.interval.mean for d in row.differences}["dann"] == pytest.approx(-5.0)
    data["rows"].pop(1)
    assert "dann" not in {d.to for d in summarise(data).rows[1].differences}


def test_a_little_above_chance_is_not_called_chance_where_there_are_many_images():
    text = " ".join(findings(summarise(results(images=10_000, dann=[0.615, 0.615]))))
    assert "at chance" not in text


def test_domains_that_were_not_aligned_are_said():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    for run in data["rows"][1]["runs"]:
        run["domain_accuracy"] = 0.98
    text = " ".join(findings(summarise(data)))
    assert "weighted DANN did not align the domains: at the end its domain classifier is right about 98 %" in text
    assert text.count("weighbridge inspect lists") == 1
    assert "DANN did not align" not in text.replace("weighted DANN did", "")


def test_a_source_half_learned_is_said():
    data = results(source_only=[0.5, 0.5], weighted=[0.5, 0.5])
    assert not any("knows the source less well" in sentence for sentence in findings(summarise(data)))
    for run in data["rows"][1]["runs"]:
        run["source_accuracy"] = 0.955
    assert (
        "weighted DANN knows the source less well than training on it alone does, 95.5 against 99.0 % of its held-out "
        "images: it was trained on it too little, or lost it while adapting."
    ) in findings(summarise(data))


def test_chance_and_few_seeds_are_said():
    text = said(dann=[0.5, 0.5], weighted=[0.9, 0.9])
    assert "DANN is at chance (50.0 %): its training collapsed." in text
    assert "2 seeds are few" in text
    assert "one seed shows no spread, so this proves nothing" in said(dann=[0.5], weighted=[0.9])


def test_what_to_know_of_a_row_is_said_with_and_without_labels():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    data["rows"][1]["caution"] = "both views are the same"
    assert "weighted DANN: both views are the same." in findings(summarise(data))
    data["task"]["evaluation"] = None
    assert "weighted DANN: both views are the same." in findings(summarise(data))


def test_without_labels_nothing_is_claimed():
    data = results(images=None, dann=[0.5], weighted=[0.9])
    for row in data["rows"]:
        for run in row["runs"]:
            run["accuracy"] = None
    summary = summarise(data)
    assert findings(summary)[-1].startswith("No labelled images of the target were given")
    assert "accuracy %" not in markdown_table(summary)


def test_the_tables_carry_seeds_intervals_and_sizes():
    summary = summarise(results(images=1234, dann=[0.5, 0.6], weighted=[0.7, 0.7]))
    table = markdown_table(summary)
    # sqrt(0.625 * 0.375 / 1234) = 1.38 %, at the mean over the rows
    assert "3,000 target images; 1,234 evaluation images: sampling error ±1.4 points." in table
    assert "1,800 slow + 450 fa\\xe9st source images, 250 more held out; " in table
    assert "2 seeds" in table
    assert "95 %" in table
    assert "| DANN | 55.0 ± 7.1 |" in table
    lines = csv_table(summary).splitlines()
    assert lines[0].split(",")[:4] == ["name", "method", "weighting", "seeds"]
    assert len({len(line.split(",")) for line in lines}) == 1
    assert lines[0].endswith(",source_images,held_out,target_images,images,sampling_error")
    assert lines[1].endswith(",2250,250,3000,1234,1.3782")


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (("dann", "weighted"), ["to DANN"]),
        (("source_only", "weighted"), ["to source only"]),
        (("source_only", "dann", "weighted"), ["to DANN", "to source only"]),
        (("weighted", "uniform"), []),
    ],
)
def test_differences_have_a_column_where_there_is_somebody_to_differ_from(rows, columns):
    header, *cells = table_cells(summarise(results(**{row: [0.5, 0.6] for row in rows})))
    assert header == ["method", "accuracy %", *columns, "source %", "seconds"]
    assert {len(row) for row in cells} == {len(header)}


def test_results_of_before_say_what_they_can():
    data = results(images=None, dann=[0.5, 0.6])
    del data["task"]["held_out"]
    summary = summarise(data)
    assert table_note(summary).endswith("1,800 slow + 450 fa\\xe9st source images; 3,000 target images.")
    assert csv_table(summary).splitlines()[1].endswith(",2250,,3000,,")


def test_two_seeds_that_take_images_for_different_classes_by_hand():
    a, b, c = (np.array(labels, np.int32) for labels in ([0, 1, 2, 2], [0, 1, 2, 0], [1, 1, 0, 0]))
    assert disagreement([a, b]) == 0.25
    assert disagreement([a, b, c]) == pytest.approx((0.25 + 0.75 + 0.5) / 3)
    assert disagreement([a]) is None
    assert disagreement([]) is None


def test_where_there_are_no_labels_seeds_are_held_against_each_other():
    data = results(images=None, source_only=[None, None], dann=[None, None])
    data["rows"][0]["disagreement"], data["rows"][1]["disagreement"] = 0.1315, 0.0379
    summary = summarise(data)
    header, first, second = table_cells(summary)
    assert header == ["method", "seeds differ %", "source %", "seconds"]
    assert (first[1], second[1]) == ("13.2", "3.8")
    assert "seeds differ %: target images that two seeds take for different classes. 1,800" in table_note(summary)
    *_, unknown, last = findings(summary)
    assert unknown.startswith("No labelled images of the target were given, so accuracy there is not known.")
    assert last.startswith(
        "Of the target images, two seeds take for different classes: source only 13.2 %, DANN 3.8 %."
    )
    assert ",13.1500," in csv_table(summary).splitlines()[1]


def test_where_there_are_labels_they_say_more():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    without = markdown_table(summarise(data)), findings(summarise(data))
    for row in data["rows"]:
        row["disagreement"] = 0.2
    assert (markdown_table(summarise(data)), findings(summarise(data))) == without


def test_what_ends_the_tables_can_be_typed_again():
    text = how_it_was_made(results(dann=[0.5, 0.6]))
    assert text == "No label was read.\n\nSeeds 0, 1; made by\n\n```\nweighbridge compare --out c\n```\n"


def test_a_variant_is_nobody_s_baseline():
    data = results(dann=[0.5, 0.5], weighted=[0.7, 0.7])
    variant = {**data["rows"][0], "name": "gentle", "variant": True}
    variant["runs"] = [{**run, "accuracy": 0.6} for run in variant["runs"]]
    data["rows"].append(variant)
    summary = summarise(data)
    means = [{d.to: d.interval.mean for d in row.differences} for row in summary.rows]
    assert means[1]["dann"] == pytest.approx(20.0)
    assert means[2]["dann"] == pytest.approx(10.0)
