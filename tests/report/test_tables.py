"""Tables as text: Markdown and CSV."""

import json

import pytest

from report.made import results, table_of
from weighbridge.report.results import read_results
from weighbridge.report.sentences import findings
from weighbridge.report.tables import (
    differences_csv,
    how_it_was_made,
    markdown_table,
    table_cells,
    table_note,
    tables_csv,
    write_tables,
)


def test_a_seed_that_diverged_is_counted_said_and_left_out_of_the_pairs():
    table = table_of(results(dann=[0.5, None, 0.6], weighted=[0.6, 0.1, 0.7]))
    assert table.rows[0].diverged == 1
    assert table.rows[1].contrasts[0].estimate.n == 2
    assert table.rows[1].contrasts[0].estimate.mean == pytest.approx(10.0)
    assert "DANN: 1 of 3 seeds diverged and are left out." in findings(table)
    assert "DANN (1 diverged)" in markdown_table(table)


def test_without_labels_nothing_is_claimed():
    table = table_of(results(images=None, dann=[0.5], weighted=[0.9]))
    assert findings(table)[-1].startswith("No labelled photos were given")
    assert "accuracy %" not in markdown_table(table)


def test_the_tables_carry_seeds_intervals_and_sizes():
    one = table_of(results(images=1234, dann=[0.5, 0.6], weighted=[0.7, 0.7]))
    table = markdown_table(one)
    # 1.96 * sqrt(0.625 * 0.375 / 1234) = 2.70 %, at the mean over the rows
    choice = "their choice alone gives an accuracy a 95 % interval of at least ±2.7 points."
    assert f"3,000 target images. 1,234 evaluation images: {choice}" in table
    assert "Brackets hold 95 % t intervals over seeds alone." in table
    assert "1,800 slow + 450 fa\\xe9st source images, 250 more held out; " in table
    assert "2 seeds" in table
    assert "95 %" in table
    assert "| DANN | 55.0 ± 7.1 |" in table
    lines = tables_csv([one]).splitlines()
    where = "source,target,evaluation,seen,images,groups,grouped_by,photo_margin,best_control"
    assert lines[0].startswith(
        f"{where},source_images,held_out,target_images,name,method,weighting,control,primary,seeds,"
    )
    assert len({len(line.split(",")) for line in lines}) == 1
    assert lines[1].startswith("slow + fa\\xe9st,photos,e,target,1234,,,2.7012,,2250,250,3000,DANN,dann,,,,2,")


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            {"groups": 40, "grouped_by": "group"},
            ("over seeds and photos; photos of a group count together.", "in 40 groups: their choice alone"),
        ),
        (
            {"groups": 70, "grouped_by": "near-duplicates"},
            ("near-duplicates count together, and intervals are at least so wide.", "in 70 groups: their choice alone"),
        ),
        (
            {"groups": 100, "grouped_by": "nothing"},
            ("photos count as independent, so intervals are at least so wide.", "100 evaluation images: their choice"),
        ),
    ],
)
def test_a_table_says_how_much_of_what_belongs_together_is_known(known, words):
    made = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    matrices = {"covariance": [[1.0, 0.5], [0.5, 1.0]], "freedom": [[9.0, 9.0], [9.0, 9.0]]}
    made["tasks"][0]["evaluations"][0] |= {**known, **matrices}
    note = table_note(table_of(made))
    assert all(said in note for said in words)
    assert ("of at least ±2.3 points" in note) == (known["grouped_by"] != "group")
    assert "sampling error" not in note


def test_class_means_stand_beside_accuracies_where_they_are_known():
    made = results(dann=[0.5, 0.6])
    for run in made["tasks"][0]["rows"][0]["runs"]:
        run["class_means"] = {"e": 0.4}
    header, cells = table_cells(table_of(made))
    assert header[:3] == ["method", "accuracy %", "class mean %"]
    assert cells[:3] == ["DANN", "55.0 ± 7.1", "40.0"]
    assert "class mean %: every class counts alike." in table_note(table_of(made))


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (("dann", "weighted"), ["to DANN"]),
        (("source_only", "weighted"), ["to best control"]),
        (("source_only", "dann", "weighted"), ["to best control", "to DANN"]),
        (("weighted", "uniform"), []),
    ],
)
def test_differences_have_a_column_where_there_is_somebody_to_differ_from(rows, columns):
    header, *cells = table_cells(table_of(results(**{row: [0.5, 0.6] for row in rows})))
    assert header == ["method", "accuracy %", *columns, "source %", "seconds"]
    assert {len(row) for row in cells} == {len(header)}


def test_results_of_before_say_what_they_can():
    data = results(images=None, dann=[0.5, 0.6])
    del data["tasks"][0]["held_out"]
    table = table_of(data)
    assert table_note(table).endswith("1,800 slow + 450 fa\\xe9st source images; 3,000 target images.")
    assert tables_csv([table]).splitlines()[1].startswith("slow + fa\\xe9st,photos,,,,,,,,2250,,3000,DANN,")


def test_where_there_are_no_labels_seeds_are_held_against_each_other():
    data = results(images=None, source_only=[None, None], dann=[None, None])
    data["tasks"][0]["rows"][0]["disagreement"], data["tasks"][0]["rows"][1]["disagreement"] = 0.1315, 0.0379
    table = table_of(data)
    header, first, second = table_cells(table)
    assert header == ["method", "seeds differ %", "source %", "seconds"]
    assert (first[1], second[1]) == ("13.2", "3.8")
    assert "seeds differ %: target images that two seeds take for different classes. 1,800" in table_note(table)
    *_, unknown, last = findings(table)
    assert unknown.startswith("No labelled photos were given, so accuracy on photos is not known.")
    assert last.startswith(
        "Two seeds take this share of the photos for different classes: source only 13.2 %, DANN 3.8 %."
    )
    assert ",13.1500," in tables_csv([table]).splitlines()[1]


def test_where_there_are_labels_they_say_more():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    without = markdown_table(table_of(data)), findings(table_of(data))
    for row in data["tasks"][0]["rows"]:
        row["disagreement"] = 0.2
    assert (markdown_table(table_of(data)), findings(table_of(data))) == without


def test_what_ends_the_tables_can_be_typed_again():
    text = how_it_was_made(results(dann=[0.5, 0.6]))
    assert text == "No label was read.\n\nSeeds 0, 1; made by\n\n```\nweighbridge compare --out c\n```\n"


def test_every_row_less_every_other_seed_by_seed(grid):
    header, *lines = differences_csv(read_results(grid)).splitlines()
    assert header == "source,target,evaluation,row,less,seeds,difference,low,high,p_holm"
    assert len(lines) == 2 * 2 * 3 * 2  # sources, evaluations, rows that did not diverge, others
    assert "realtime,photos,photos,weighted DANN,source only,3,20.0000,20.0000,20.0000,0.0000" in lines
    assert "both,photos,photos,source only,DANN,3,-10.0000,-10.0000,-10.0000,0.0000" in lines


def test_all_tables_are_written_as_utf_8_whatever_folders_are_called(tmp_path):
    made = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    (tmp_path / "results.json").write_text(json.dumps(made))
    write_tables(tmp_path)
    text = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert text.keys() == {"results.json", "table.md", "table.csv", "differences.csv", "summary.json"}
    where = "# T\n\n## slow + fa\\xe9st to photos\n\n### Tested on e: target domain, 100 images\n\n| method |"
    assert text["table.md"].startswith(where)
    assert text["table.md"].endswith(how_it_was_made(made))
    assert len(text["table.csv"].splitlines()) == 3
    assert "slow + fa\\xe9st,photos,e,weighted DANN,DANN,2,15.0000," in text["differences.csv"]
    (table,) = json.loads(text["summary.json"])["tables"]
    assert (table["task"], table["evaluation"]["name"]) == ("slow + fa\\xe9st to photos", "e")
    assert [row["name"] for row in table["rows"]] == ["DANN", "weighted DANN"]
    assert "Highest mean accuracy: weighted DANN with 70.0 %." in table["findings"]
