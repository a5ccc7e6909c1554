"""The page of a run as a person has it: in a browser, with mouse and keys, wide and narrow, light and dark."""

import json
import os
import shutil

import pytest

from browser import Browser
from report.pages import HOSTILE, make_run, trust, unfinished, write
from weighbridge.report.page import write_report


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(make_run(tmp_path_factory.mktemp("page")))


@pytest.fixture
def page(browser, report):
    opened = browser.open(report)
    yield opened
    assert opened.requests == [report.resolve().as_uri()]
    assert opened.problems == []
    opened.close()


def cells(page, table, column):
    return page.run(
        f"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{column}].innerText.trim())"
    )


def shown(page):
    """Labels of the cards that can be seen."""
    return page.run("[...document.querySelectorAll('.card')].filter(c => c.offsetParent).map(c => c.dataset.label)")


def choose(page, select, value):
    setting = f"s.value = {json.dumps(value)}; s.dispatchEvent(new Event('change'))"
    page.run(f"(s => {{ {setting}; }})(document.querySelector('{select}'))")


def test_a_table_sorts_by_click_and_by_key(page):
    table, head = "#classes table", "#classes th:nth-child({}) button"
    sorts = "[...document.querySelectorAll('#classes th')].map(h => h.getAttribute('aria-sort'))"
    assert cells(page, table, 0) == [f"class {k:02}" for k in range(6)]
    page.click(head.format(5))
    photos = [int(text) for text in cells(page, table, 4)]
    assert photos == sorted(photos, reverse=True)
    assert photos[0] > photos[-1]
    assert page.run(sorts)[4] == "descending"
    page.run(f"document.querySelector('{head.format(5)}').focus()")
    page.press("Enter")
    assert [int(text) for text in cells(page, table, 4)] == photos[::-1]
    assert [entry for entry in page.run(sorts) if entry] == ["ascending"]
    page.run(f"document.querySelector('{head.format(1)}').focus()")
    page.press(" ")
    assert cells(page, table, 0) == [f"class {k:02}" for k in range(6)]
    page.press(" ")
    assert cells(page, table, 0) == [f"class {5 - k:02}" for k in range(6)]


def test_photos_are_filtered_by_class_truth_and_kind(page):
    whole = shown(page)
    assert len(whole) == 90
    assert set(whole) == {f"class {k:02}" for k in range(6)}
    choose(page, "#predicted", "2")
    assert set(shown(page)) == {"class 02"}
    choose(page, "#predicted", "")
    choose(page, "#kind", "wrong")
    wrong = shown(page)
    assert len(wrong) == 13  # each seventh of 90
    assert page.run("document.querySelector('#found').innerText").startswith("13 photos in 6 classes")
    choose(page, "#true", "class 00")
    assert 0 < len(shown(page)) < 13
    choose(page, "#kind", "")
    choose(page, "#true", "")
    assert shown(page) == whole


def test_wrong_photos_come_first_and_then_the_least_sure(page):
    order = page.run(
        "[...document.querySelectorAll('.class')].map(s => [...s.querySelectorAll('.card')]"
        ".map(c => [c.classList.contains('wrong') ? 0 : 1, parseInt(c.dataset.p)]))"
    )
    assert all(section == sorted(section) for section in order)
    assert sum(first for section in order for first, _ in section) == 90 - 13


def test_a_photo_is_enlarged_by_click_and_by_key_and_focus_comes_back(page):
    page.click(".card")
    assert page.run("document.querySelector('#large').open")
    words = page.run("document.querySelector('#large').innerText")
    for part in ("taken for", "wrong", ".png", "before adapting"):
        assert part in words
    assert page.run("document.querySelector('#large img').naturalWidth") > 0
    first = page.run("document.querySelector('#large dl').innerText")
    page.press("ArrowRight")
    assert page.run("document.querySelector('#large dl').innerText") != first
    page.press("ArrowLeft")
    assert page.run("document.querySelector('#large dl').innerText") == first
    page.press("Escape")
    page.wait("!document.querySelector('#large').open")
    assert page.run("document.activeElement === document.querySelector('.card')")
    page.press("Enter")
    assert page.run("document.querySelector('#large').open")
    page.click("#large .close")
    assert not page.run("document.querySelector('#large').open")


def test_every_control_is_reached_by_tab(page):
    wanted = {"A", "SELECT", "BUTTON", "svg", "SUMMARY"}
    met = set()
    for _ in range(60):
        page.press("Tab")
        met.add(page.run("document.activeElement.tagName"))
    assert {"A", "SELECT", "BUTTON"} <= met <= wanted | {"DIV", "BODY", "path"}


def test_confusions_and_the_plane_say_what_is_under_the_mouse(page):
    page.run("document.querySelector('.heat').scrollIntoView({block: 'center', behavior: 'instant'})")
    box = page.run(
        "(() => { const m = document.querySelector('.heat'), r = m.getBoundingClientRect();"
        " const k = r.width / m.viewBox.baseVal.width * (Number(m.dataset.edge) + 3); return [r.x + k, r.y + k]; })()"
    )
    page.move(*box)
    assert page.run("document.querySelector('.readout').innerText") == "12 of 15 class 00 (80.0 %) are told right"
    page.run("document.querySelector('.plane svg').scrollIntoView({block: 'center', behavior: 'instant'})")
    x, y = page.run(
        "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('circle').getBoundingClientRect())"
    )
    page.move(x, y)
    assert page.run("document.querySelector('.tip span').innerText") == "render of class 00"
    assert page.run("getComputedStyle(document.querySelector('.tip i')).backgroundImage").startswith(
        'url("data:image/jpeg'
    )
    page.run("document.querySelector('.plane svg').focus()")
    page.press("ArrowRight")
    assert page.run("document.querySelector('.tip span').innerText") == "render of class 01"


def test_renders_are_shown_with_the_factors_in_which_they_differ(page):
    cells_of = "row => [...row.cells].map(cell => cell.innerText.trim())"
    rows = page.run(f"[...document.querySelectorAll('#renders tbody tr')].map({cells_of})")
    assert rows[0][:3] == ["elevation", "0.55", "5.35"]  # means of 0.0 to 1.1 and of 4.8 to 5.9
    assert ["background = plain", "100 %", "0 %"] in [row[:3] for row in rows]
    assert rows[-1] == ["elevation", "0 to 2", "20", "50 %", "+1.2 [-0.3, +2.7]"]
    words = page.run("document.querySelector('#renders').innerText")
    assert words.index("2.00 class 00") < words.index("Lowest weights") < words.index("0.53 class 05")
    assert "Render more from below." in words


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (400, False), (400, True)])
def test_the_page_fits_its_window_in_light_and_dark(browser, report, width, dark):
    page = browser.open(report, width=width, dark=dark)
    assert page.overflow() <= 0
    ground, ink = (page.run(f"getComputedStyle(document.body).{what}") for what in ("backgroundColor", "color"))
    assert (brightness(ground) < brightness(ink)) == dark
    curve = page.run("getComputedStyle(document.querySelector('#training text')).fill")
    assert (brightness(curve) > 128) == dark  # letters of figures follow
    assert page.problems == []
    page.close()


def brightness(colour):
    return sum(float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]) / 3


def test_a_dark_page_is_printed_in_black_on_white(browser, report):
    page = browser.open(report, dark=True)
    page.look(800, dark=True, media="print")
    assert brightness(page.run("getComputedStyle(document.body).color")) < 60
    assert page.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
    page.close()


def test_a_page_of_120_classes_can_be_used(browser, tmp_path):
    report = write_report(make_run(tmp_path, classes=120, photos=500))
    page = browser.open(report, width=400)
    assert page.overflow() <= 0
    assert "400 of 500 photos are shown" in page.run("document.querySelector('#gallery').innerText")
    sections = "[...document.querySelectorAll('.class')].filter(s => s.offsetParent).length"
    assert page.run(sections) == 12
    page.click("#others")
    assert page.run(sections) == 120
    assert "106 others are summed" in page.run("document.querySelector('#flows').innerText")
    assert len(cells(page, "#confusions table", 0)) == 20
    assert page.run("document.querySelector('.heat').getBoundingClientRect().width") <= 400
    assert page.problems == []
    page.close()


def test_names_stay_names_whatever_is_in_them(browser, tmp_path):
    report = write_report(make_run(tmp_path, names=HOSTILE))
    page = browser.open(report)
    assert page.problems == []
    assert page.run("document.scripts.length") == 1
    assert "<script>alert" in page.run("document.querySelector('#classes').innerText")
    names = page.run("[...document.querySelectorAll('#classes tbody tr')].map(row => row.cells[0].innerText.trim())")
    assert names[1:5] == ["a & b's", "=cmd()|' /C calc'!A0", "שלום עולם", "two\\x0alines"]
    assert "{{ 7 * 7 }}" in names[6]
    assert "‮" not in report.read_text()
    page.close()


@pytest.mark.parametrize(("verdict", "tone"), [("adapted", "good"), ("renders-only", "bad"), ("inconclusive", "warn")])
def test_the_verdict_stands_first_in_words_and_colour(browser, report, tmp_path, verdict, tone):
    whole = json.loads((report.parent / "metrics.json").read_text())
    shutil.copytree(report.parent, tmp_path / "run", ignore=shutil.ignore_patterns("*.csv", "*.npz", "log.jsonl"))
    write(tmp_path / "run" / "metrics.json", {**whole, "evaluation": None, "trust": trust(verdict)})
    page = browser.open(write_report(tmp_path / "run"))
    assert page.run("document.querySelector('section').className") == f"verdict {tone}"
    assert page.run("document.querySelector('.verdict ol').innerText") == "Label 8 photos: weighbridge label RUN"
    assert page.run("document.querySelectorAll('.verdict .alarm').length") == (verdict != "adapted")
    assert page.problems == []
    page.close()


def test_a_run_without_labels_and_verdict_says_so(browser, tmp_path):
    page = browser.open(write_report(make_run(tmp_path, labelled=False, verdict=None)))
    assert "No verdict" in page.run("document.querySelector('#verdict').innerText")
    assert page.run("document.querySelector('#confusions')") is None
    heads = page.run("[...document.querySelectorAll('#classes th')].map(h => h.innerText.split(' ')[0])")
    assert "right" not in heads
    assert {"share", "mean", "doubtful"} <= set(heads)
    assert page.problems == []
    page.close()


def test_an_unfinished_run_shows_what_there_is(browser, tmp_path):
    run = unfinished(make_run(tmp_path))
    page = browser.open(write_report(run))
    words = page.run("document.body.innerText")
    assert "This run is not finished" in words
    assert "step 29 of 29" in words
    assert f"adapt --resume {run}" in words
    assert page.run("document.querySelectorAll('#training svg').length") == 2
    assert page.problems == []
    page.close()


def test_no_picture_leaves_the_run_s_own_folders(tmp_path):
    run = make_run(tmp_path)
    private = tmp_path / "private.png"
    os.replace(tmp_path / "photos" / "0000.png", private)
    names = [str(private), f"{tmp_path}/photos/../private.png", f"{tmp_path}/photos/0003.png"]
    (tmp_path / "photos" / "0003.png").unlink()
    (tmp_path / "photos" / "0003.png").symlink_to(private)
    for place, name in enumerate(names):
        for table in ("predictions.csv", "evaluation.csv", "renders-only-predictions.csv"):
            text = (run / table).read_text()
            (run / table).write_text(text.replace(f"{tmp_path}/photos/{place:04}.png", name))
    text = (run / "weights.csv").read_text()
    (run / "weights.csv").write_text(text.replace(f"{tmp_path}/renders/0/0000.png", str(private)))
    page = write_report(run).read_text()
    assert page.count("no picture") == 5  # two names of the photos lead to the same link
    assert "Of 4 the path leads out of the run&#39;s own folders" in page
    assert "Of 1 the path leads out" in page
