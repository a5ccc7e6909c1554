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
    assert "Negative transfer: DANN is worse than not adapting at all, -10.0" in said(
        source_only=[0.6, 0.61, 0.62], dann=[0.5, 0.51, 0.52]
    )


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
