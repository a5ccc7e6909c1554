"""The server: one page on loopback, no guests, and labels on disk after each key."""

import http.client
import json
import threading
from pathlib import Path

import pytest

from labelling.made import CLASSES, write_photos, write_run
from weighbridge.errors import ConfigError
from weighbridge.labelling.answers import read_answers
from weighbridge.labelling.photos import TargetPhotos
from weighbridge.labelling.serve import Server
from weighbridge.labelling.session import Session
from weighbridge.labelling.told import ask


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of a run whose two models differ on 6 of 9 photos."""
    monkeypatch.chdir(tmp_path)
    names = write_photos(Path("photos"), 9)
    ours = {name: CLASSES[k % 3] for k, name in enumerate(names)}
    theirs = {name: CLASSES[(k + (k < 6)) % 3] for k, name in enumerate(names)}
    run = write_run(tmp_path / "run", Path("photos"), ours, renders_only=theirs)
    with Server(Session(ask(run, None), run / "labels.csv"), TargetPhotos(Path("photos"))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers, data


def test_each_answer_is_on_disk_before_the_next_photo(server):
    below, files = f"/{server.token}/", server.session.question.files
    for place in range(2):
        status, _, data = send(server, "POST", below + "answer", {"place": place, "label": "cup", "seconds": 1.2})
        assert (status, json.loads(data)["place"]) == (200, place + 1)
        assert [a.file for a in read_answers(server.session.path)] == list(files[: place + 1])
    status, _, data = send(server, "POST", below + "undo", {})
    assert (status, json.loads(data)["place"]) == (200, 1)
    assert len(read_answers(server.session.path)) == 1
    resumed = Session(server.session.question, server.session.path)
    assert resumed.place() == 1


def test_neither_page_nor_state_tells_what_a_model_says(server):
    _, headers, page = send(server, "GET", f"/{server.token}/")
    setup = json.loads(page.decode().split("const SETUP = ")[1].split(";\n")[0])
    assert set(setup) == {"base", "classes", "none", "state"}
    assert not {"told", "files"} & set(setup["state"])
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_guests_are_refused(server):
    port, below = server.server_port, f"/{server.token}/"
    undo = ("POST", below + "undo", {})
    assert send(server, *undo, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert send(server, *undo, Origin="https://example.org")[0] == 403
    assert send(server, *undo, Origin=f"http://127.0.0.1:{port + 1}")[0] == 403  # another page of this machine
    assert send(server, *undo, Host=f"example.org:{port}")[0] == 403  # a name that leads here
    assert send(server, *undo, Content_Type="text/plain")[0] == 415  # a form of another page
    assert send(server, "POST", "/undo", {})[0] == 404
    assert send(server, "POST", "/guess/undo", {})[0] == 404
    assert send(server, "GET", "/")[0] == 404
    assert send(server, "POST", below + "undo", {"x": "y" * 20_000})[0] == 413
    assert not server.session.answers


def test_answers_that_make_no_sense_change_nothing(server):
    below = f"/{server.token}/"
    for body in ({"place": 1, "label": "cup", "seconds": 1}, {"place": 0, "label": "plate", "seconds": 1}):
        status, _, data = send(server, "POST", below + "answer", body)
        assert status == 409
        assert "next" in json.loads(data)["error"] or "no class 'plate'" in json.loads(data)["error"]
    assert send(server, "POST", below + "answer", {"place": 0})[0] == 400
    assert send(server, "POST", below + "answer", [])[0] == 400
    assert not server.session.path.exists()


def test_photos_come_as_pictures_and_a_lost_one_is_told(server):
    status, headers, data = send(server, "GET", f"/{server.token}/photo/0")
    assert (status, headers["Content-Type"], data[:4]) == (200, "image/png", b"\x89PNG")
    assert send(server, "GET", f"/{server.token}/photo/6")[0] == 404
    Path(server.session.question.files[1]).unlink()
    assert send(server, "GET", f"/{server.token}/photo/1")[0] == 404


def test_a_port_that_is_taken_is_told(server):
    with pytest.raises(ConfigError, match=r"cannot be used .* Choose another --port"):
        Server(server.session, server.photos, server.server_port)
