"""Labelling by keyboard in a headless Chromium, served and from one file."""

import json
import threading
from pathlib import Path

import pytest

from browser import Browser
from labelling.made import CLASSES, write_photos, write_run
from weighbridge.labelling.answers import read_answers
from weighbridge.labelling.page import write_offline
from weighbridge.labelling.photos import TargetPhotos
from weighbridge.labelling.question import standing
from weighbridge.labelling.serve import Server
from weighbridge.labelling.session import Session
from weighbridge.labelling.told import ask

MANY = ("bowl", "coffee mug", "cup", "fork", "knife", "ladle", "pan", "plate", "pot", "spoon", "tea cup", "whisk")


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a run whose two models differ on 12 of 15 photos."""
    monkeypatch.chdir(tmp_path)
    names = write_photos(Path("photos"), 15)

    def make(classes=CLASSES):
        ours = {name: classes[k % len(classes)] for k, name in enumerate(names)}
        theirs = {name: classes[(k + (k < 12)) % len(classes)] for k, name in enumerate(names)}
        return write_run(tmp_path / "run", Path("photos"), ours, renders_only=theirs, classes=classes)

    return make


@pytest.fixture
def serve():
    """Starts servers, and stops them at the end."""
    running = []

    def start(run, **asked):
        labels = run / "labels.csv"
        server = Server(Session(ask(run, None, **asked), labels), TargetPhotos(Path("photos")))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def press(page, *keys):
    """Keys one after the other, each when the page has taken the one before and shows its photo."""
    for key in keys:
        page.press(key)
        page.wait("!busy && (ready || photo.hidden)")


def test_a_person_labels_until_it_is_settled_with_one_hand(browser, made, serve):
    server = serve(made())
    page = browser.open(server.address)
    page.wait("ready")
    told, files = (
        dict(zip(server.session.question.files, server.session.question.told, strict=True)),
        server.session.question.files,
    )
    right = [str(CLASSES.index(told[file][0]) + 1) for file in files]
    press(page, right[0], "0", " ", "Backspace", "Backspace")  # none of these, cannot tell, and both taken back
    assert [a.label for a in read_answers(server.session.path)] == [told[files[0]][0]]
    assert page.run("at('stop').hidden")
    press(page, *right[1:5])
    assert page.run("at('standing').textContent") == server.session.standing().sentence
    assert "Settled: keep adapted" in page.run("at('standing').textContent")
    assert not page.run("at('stop').hidden")
    press(page, ".", "-")  # the number pad
    assert len(server.session.answers) == 5
    assert not page.problems
    assert all(url.startswith(server.address) for url in page.requests)
    page.close()

    again = browser.open(server.address)  # resumes where it stopped
    again.wait("ready")
    assert again.run("state.place") == 5
    press(again, *right[5:])
    assert again.run("at('nothing').textContent") == "All photos are labelled."
    press(again, "1")  # nothing is left
    assert len(server.session.answers) == 12
    again.close()


def test_many_classes_are_found_by_typing(browser, made, serve):
    server = serve(made(MANY))
    page = browser.open(server.address)
    page.wait("ready")
    press(page, *"cup")
    assert page.run("[...classes.children].map(b => b.textContent)") == ["1 cup", "2 tea cup"]
    press(page, "2")
    press(page, *"mug", "Enter")
    press(page, *"xx", "Backspace", "Escape", "3")
    press(page, "Enter")  # without a search it takes nothing
    page.click("#classes button:nth-child(12)")
    page.wait("state.place === 4")
    assert [a.label for a in server.session.answers] == ["tea cup", "coffee mug", "cup", "whisk"]
    assert not page.problems
    page.close()


def test_an_answer_that_is_not_kept_is_told_and_the_photo_stays(browser, made, serve):
    server = serve(made())
    page = browser.open(server.address)
    page.wait("ready")
    server.session.answer(0, "cup", 1.0)  # in another window
    press(page, "1")
    assert page.run("at('problem').textContent").startswith("Not saved: photo 0 is not the one that comes next")
    assert len(server.session.answers) == 1
    page.close()


@pytest.mark.parametrize("asked", ["better", "accuracy", "teach"])
def test_the_file_counts_as_python_does_and_saves_what_python_reads(browser, made, tmp_path, asked):
    run = made()
    question = ask(run, None, accuracy=asked == "accuracy", teach=asked == "teach", within=60.0)
    count, size = write_offline(question, TargetPhotos(Path("photos")), tmp_path / "offline.html", most=300)
    assert (count, size) == (len(question.files), (tmp_path / "offline.html").stat().st_size)
    page = browser.open(tmp_path / "offline.html")
    page.wait("ready")
    labels = {}
    for file, key in zip(question.files, "131 0123321", strict=False):
        press(page, key)
        labels[file] = {"0": "none of these", " ": ""}.get(key) if key in "0 " else CLASSES[int(key) - 1]
        ours, theirs = standing(question, labels).facts(), page.run("state")
        assert theirs["sentence"] == ours["sentence"]
        assert theirs["counts"] == list(ours["counts"])
        assert (theirs["settled"], theirs["keep"]) == (ours["settled"], ours["keep"])
        assert theirs["evidence"] == pytest.approx(ours["evidence"], rel=1e-9)
        assert (theirs["low"], theirs["high"]) == pytest.approx((ours["low"], ours["high"]))
    page.run("window.old = true, location.reload()")
    page.wait("typeof old === 'undefined' && typeof state !== 'undefined' && state.place === 11 && ready")  # kept by it
    (tmp_path / "labels.csv").write_text(page.run("csv()"))
    assert {a.file: a.label for a in read_answers(tmp_path / "labels.csv")} == labels
    assert {a.asked for a in read_answers(tmp_path / "labels.csv")} == {asked}
    assert not page.problems
    assert {url for url in page.requests if not url.startswith("file:")} == set()
    page.run("localStorage.clear()")
    page.close()


def test_the_file_saves_by_download(browser, made, tmp_path):
    run = made()
    write_offline(ask(run, None), TargetPhotos(Path("photos")), tmp_path / "offline.html", most=5)
    page = browser.open(tmp_path / "offline.html")
    browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "down"))
    page.wait("ready")
    press(page, *"12312")
    assert page.run("at('nothing').textContent") == "All photos are labelled."
    page.press("s", modifiers=2)
    saved = tmp_path / "down" / "labels.csv"
    for _ in range(200):
        if saved.is_file() and saved.stat().st_size:
            break
        page.run("new Promise(done => setTimeout(done, 20))")
    assert len(read_answers(saved)) == 5
    page.run("localStorage.clear()")
    page.close()


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window(browser, made, serve, width, dark):
    server = serve(made(MANY))
    page = browser.open(server.address, width=width, dark=dark)
    page.wait("ready")
    assert page.overflow() <= 0
    shown = json.loads(page.run("JSON.stringify(photo.getBoundingClientRect())"))
    assert shown["width"] >= 0.65 * width
    colour = page.run("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(21, 24, 27)" if dark else "rgb(255, 255, 255)")
    page.close()
