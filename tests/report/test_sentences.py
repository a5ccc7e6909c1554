"""A table in sentences."""

from report.made import results, table_of
from weighbridge.report.sentences import findings, heading


def said(**rows):
    return " ".join(findings(table_of(results(**rows))))


def test_winning_losing_and_not_knowing_are_said_in_words():
    base = {"source_only": [0.5, 0.51, 0.52]}
    assert "weighted DANN beat DANN: +10.0" in said(**base, dann=[0.6, 0.61, 0.62], weighted=[0.7, 0.71, 0.72])
    assert "weighted DANN lost to DANN: -10.0" in said(**base, dann=[0.7, 0.71, 0.72], weighted=[0.6, 0.61, 0.62])
    unsure = said(**base, dann=[0.6, 0.7, 0.5], weighted=[0.65, 0.6, 0.58])
    assert "weighted DANN against DANN: " in unsure
    assert "seeds, which may be luck." in unsure


def test_negative_transfer_is_said():
    assert "Negative transfer: DANN is worse than the best control, source only, -10.0" in said(
        source_only=[0.6, 0.61, 0.62], dann=[0.5, 0.51, 0.52]
    )


def test_a_method_helped_only_where_it_beat_the_best_control():
    rows = {"source_only": [0.5, 0.51, 0.52], "dann": [0.6, 0.61, 0.62]}
    assert "DANN helped: +10.0 [+10.0, +10.0] points over the best control, source only." in said(**rows)
    text = said(**rows, adabn=[0.6, 0.62, 0.6])
    assert "DANN helped" not in text
    assert "DANN against the best control, source only, AdaBN: " in text


def test_a_table_with_one_control_asks_for_the_others():
    ask = "source only is the only control. Add source-only-ema, adabn and source-only-continued"
    assert ask in said(source_only=[0.5, 0.51], dann=[0.6, 0.62])
    assert "No control is in the table. Add" in said(dann=[0.6, 0.62])
    assert "only control" not in said(source_only=[0.5, 0.51], adabn=[0.5, 0.52], dann=[0.6, 0.62])
    assert "only control" not in said(source_only=[0.5, 0.51])


def named(weighted, margin=1.0, **rows):
    data = results(source_only=[0.6, 0.61, 0.62], weighted=weighted, **rows)
    data["primary"] = {"method": "weighted DANN", "control": "source only", "margin": margin}
    return findings(table_of(data))


def test_the_contrast_named_beforehand_comes_first_and_is_not_corrected():
    first, *_ = named([0.7, 0.71, 0.72])
    assert first == "Named beforehand: weighted DANN less source only is +10.0 [+10.0, +10.0] points. It is a gain."
    first, *_ = named([0.5, 0.51, 0.52])
    assert first.endswith("is -10.0 [-10.0, -10.0] points. It is a loss: negative transfer.")


def test_the_contrast_named_beforehand_is_not_said_twice_and_not_counted():
    found = named([0.7, 0.71, 0.73], dann=[0.6, 0.62, 0.61])
    assert not any("weighted DANN helped" in sentence for sentence in found)
    assert any("corrected for 2 comparisons (Holm)" in sentence for sentence in found)


def test_no_harm_is_a_claim_of_its_own_with_a_margin():
    level = [0.602, 0.607, 0.622]  # +0.2, -0.3, +0.2
    assert named(level)[0].endswith("points. It is no harm of 1 point or more, and may be no gain.")
    assert named(level, margin=0.5)[0].endswith("points. A harm of 0.5 points is not ruled out.")
    assert named([0.5, 0.7, 0.62])[0].endswith("points. A harm of 1 point is not ruled out.")


def test_no_harm_is_not_claimed_of_a_method_whose_seeds_diverged():
    data = results(source_only=[0.6, 0.6, 0.6], weighted=[None] * 3)
    data["primary"] = {"method": "weighted DANN", "control": "source only", "margin": 1.0}
    for run in data["tasks"][0]["rows"][1]["runs"]:
        run |= {"accuracies": {"e": 0.6}, "counts_as": "source only"}
    assert findings(table_of(data))[0].endswith("3 of its seeds diverged, so no harm is not claimed.")


def test_one_seed_proves_nothing_however_many_photos_there_are():
    data = results(source_only=[0.6], weighted=[0.7])
    matrices = {"covariance": [[1.0, 0.9], [0.9, 1.0]], "freedom": [[99.0] * 2] * 2}
    data["tasks"][0]["evaluations"][0] |= {"groups": 100, "grouped_by": "group", **matrices}
    data["primary"] = {"method": "weighted DANN", "control": "source only", "margin": 1.0}
    first, *others = findings(table_of(data))
    assert first.endswith("One seed shows no spread, so this proves nothing.")
    assert not any("helped" in sentence for sentence in others)


def test_a_loss_is_to_every_control_as_the_best_of_several_is_high_by_luck():
    rows = {"source_only": [0.60, 0.61, 0.60], "adabn": [0.56, 0.59, 0.58]}
    text = said(**rows, dann=[0.57, 0.58, 0.57])
    assert "DANN is below the best control, source only, and not clearly below every control: -3.0" in text
    assert "Negative transfer: DANN" in said(**rows, dann=[0.50, 0.51, 0.50])


def test_what_was_not_named_beforehand_is_exploratory():
    text = said(source_only=[0.5, 0.51, 0.52], dann=[0.6, 0.61, 0.62])
    assert "All comparisons below are exploratory: they were not named beforehand." in text
    two = said(source_only=[0.5, 0.51, 0.52], dann=[0.6, 0.61, 0.62], weighted=[0.6, 0.6, 0.7])
    assert "All comparisons below are exploratory. Their verdicts are corrected for 3 comparisons (Holm)" in two
    assert "All comparisons below are exploratory: they were not named" in said(source_only=[0.5], dann=[0.6])


def test_one_of_many_looks_is_not_called_a_gain():
    alone = {"source_only": [0.500, 0.510, 0.520], "dann": [0.520, 0.538, 0.552]}
    assert "DANN helped" in said(**alone)
    crowd = {"weighted": [0.5, 0.53, 0.51], "uniform": [0.51, 0.5, 0.53]}
    text = said(**alone, **crowd)
    assert "DANN against the best control, source only: +2.7" in text
    assert "points, which may be luck among so many comparisons." in text


def test_a_seed_that_diverged_is_said_to_count_as_the_control():
    data = results(source_only=[0.5, 0.52], dann=[0.7, None])
    data["tasks"][0]["rows"][1]["runs"][1] |= {"accuracies": {"e": 0.52}, "counts_as": "source only"}
    said_of = findings(table_of(data))
    assert "DANN: 1 of 2 seeds diverged and count as source only, which their users would have had." in said_of


def test_what_the_weights_themselves_are_worth_is_said():
    text = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[0.69, 0.7, 0.71])
    assert "The weights of weighted DANN: +1.0 [-1.5, +3.5] points over 3 seeds" in text
    assert "against all weights at 1, which may be luck." in text
    sure = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[0.6, 0.62, 0.61])
    assert "+10.0 [+10.0, +10.0] points over 3 seeds against all weights at 1." in sure


def test_the_weights_are_judged_on_the_seeds_that_both_have():
    text = said(dann=[0.5, 0.5, 0.5], weighted=[0.7, 0.72, 0.71], uniform=[None, None, 0.95])
    assert "The weights of weighted DANN: -24.0 points over one seed" in text
    assert "Highest mean accuracy: weighted DANN, uniform with 95.0 % over one seed of 3." in text


def test_a_little_above_chance_is_not_called_chance_where_there_are_many_images():
    text = " ".join(findings(table_of(results(images=10_000, dann=[0.615, 0.615]))))
    assert "at chance" not in text


def test_domains_that_were_not_aligned_are_said():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    for run in data["tasks"][0]["rows"][1]["runs"]:
        run["domain_accuracy"] = 0.98
    text = " ".join(findings(table_of(data)))
    assert "weighted DANN did not align the domains: at the end its domain classifier is right about 98 %" in text
    assert text.count("Run weighbridge inspect: it lists what gives the domains away") == 1
    assert "DANN did not align" not in text.replace("weighted DANN did", "")


def test_a_source_half_learned_is_said():
    data = results(source_only=[0.5, 0.5], weighted=[0.5, 0.5])
    assert not any("less well than source only" in sentence for sentence in findings(table_of(data)))
    for run in data["tasks"][0]["rows"][1]["runs"]:
        run["source_accuracy"] = 0.955
    assert (
        "weighted DANN knows the renders less well than source only: 95.5 against 99.0 % of those held out. "
        "It was trained on them too little, or forgot them while adapting."
    ) in findings(table_of(data))


def test_chance_and_few_seeds_are_said():
    text = said(dann=[0.5, 0.5], weighted=[0.9, 0.9])
    assert "DANN is at chance (50.0 %): its training collapsed." in text
    assert "2 seeds are few" in text
    assert "One seed shows no spread, so this proves nothing" in said(dann=[0.5], weighted=[0.9])


def test_what_to_know_of_a_row_is_said_with_and_without_labels():
    data = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    data["tasks"][0]["rows"][1]["caution"] = "both views are the same"
    assert "weighted DANN: both views are the same." in findings(table_of(data))
    data["tasks"][0]["evaluations"] = []
    assert "weighted DANN: both views are the same." in findings(table_of(data))


def test_a_heading_says_what_the_models_saw_of_the_domain_and_on_the_source_nothing_is_said():
    data = results(images=1234, dann=[0.5, 0.5])
    entry = data["tasks"][0]["evaluations"][0]
    assert heading(table_of(data)) == "tested on e: target domain, 1,234 images"
    entry["seen"] = "unseen"
    assert heading(table_of(data)) == "tested on e: a domain never seen in training, 1,234 images"
    assert findings(table_of(data))
    entry |= {"seen": "source", "trained_on": True}
    same = "tested on e: source domain, 1,234 images, the very images that were trained on"
    assert (heading(table_of(data)), findings(table_of(data))) == (same, [])
