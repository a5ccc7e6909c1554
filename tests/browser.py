"""Headless Chromium for tests, by the DevTools protocol over a pipe. Nothing but the browser is needed."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATIENCE = 60.0  # seconds for one answer of a busy machine
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--mute-audio", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
_KEYS = {  # DOM key -> (code, virtual key code, text)
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "),
    "Backspace": ("Backspace", 8, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}


def found() -> str | None:
    """The browser's program; WEIGHBRIDGE_CHROMIUM names another."""
    return os.environ.get("WEIGHBRIDGE_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A running Chromium; a context manager. Skips the test where there is none."""

    def __init__(self):
        program = found()
        if program is None:
            pytest.skip("no Chromium on this machine")
        self._profile = tempfile.mkdtemp(prefix="weighbridge-chromium-")
        commands, self._write = map(_high, os.pipe())
        self._read, answers = map(_high, os.pipe())
        arguments = [program, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        silence = os.open(os.devnull, os.O_RDWR)
        moves = [(os.POSIX_SPAWN_DUP2, here, there) for here, there in ((commands, 3), (answers, 4))]
        moves += [(os.POSIX_SPAWN_DUP2, silence, there) for there in (0, 1, 2)]
        self._process = os.posix_spawn(program, arguments, os.environ, file_actions=moves, setpgroup=0)
        for end in (commands, answers, silence):
            os.close(end)
        self._buffer, self._last, self._pages = b"", 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError, RuntimeError):
            self.ask("Browser.close")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, address, *, width=1400, height=900, dark=False):
        """A page that has loaded; address: a path or a URL."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._pages[session] = page = Page(self, session, target)
        page.look(width, height, dark=dark)
        page.go(Path(address).resolve().as_uri() if isinstance(address, Path) else address)
        return page

    def ask(self, method, session=None, **parameters):
        """Send a command and wait for its answer; events that come meanwhile reach their pages."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        number = self._last
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self):
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise RuntimeError(f"Chromium did not answer within {_PATIENCE:g} seconds")
            part = os.read(self._read, 2**20)
            if not part:
                raise RuntimeError("Chromium ended before it answered")
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message and message.get("sessionId") in self._pages:
            self._pages[message["sessionId"]].heard(message["method"], message["params"])
        return message


class Page:
    """One tab.

    Attributes:
        requests: every URL that was asked for, data: URLs left out.
        problems: errors and warnings of the console, and exceptions that nobody caught.
    """

    def __init__(self, browser, session, target):
        self._browser, self._session, self._target = browser, session, target
        self.requests, self.problems = [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Any command of the protocol, to this page."""
        return self._browser.ask(method, self._session, **parameters)

    def heard(self, method, about):
        """Take note of an event."""
        if method == "Network.requestWillBeSent" and not about["request"]["url"].startswith("data:"):
            self.requests.append(about["request"]["url"])
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.problems.append(about["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(part.get("value", part)) for part in about["args"]))
        elif method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))

    def go(self, url):
        """Open a URL, and wait until it has loaded."""
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def look(self, width, height=900, *, dark=False, media=""):
        """The size of the window in CSS pixels, light or dark, on screen or on paper (media="print")."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def run(self, expression):
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, expression, seconds=_PATIENCE):
        """Until the expression is true."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(RuntimeError):  # between two documents there is no place to ask
                if self.run(expression):
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"not true within {seconds:g} seconds: {expression}")
            time.sleep(0.02)

    def click(self, selector):
        """With the mouse, in the middle of what the selector finds; scrolled into view first."""
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            " e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()"
        )
        assert place is not None, f"nothing on the page is {selector}"
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def move(self, x, y):
        """The mouse, to a place in the window."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key, *, modifiers=0):
        """A key by its DOM name, such as "a", "1" or "ArrowLeft"; modifiers: 1 Alt, 2 Ctrl, 4 Meta, 8 Shift."""
        if key in _KEYS:
            code, number, text = _KEYS[key]
        else:
            code = f"Digit{key}" if key.isdigit() else f"Key{key.upper()}"
            number, text = ord(key.upper()), key
        about = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def overflow(self):
        """By how many pixels the page is wider than its window."""
        return self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def screenshot(self, path, *, whole=True):
        """A PNG of the whole page, or of what the window shows."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))
        return path

    def close(self):
        """Close the tab."""
        self._browser.ask("Target.closeTarget", targetId=self._target)


def _high(end):
    """The same end of a pipe under a number that is not one of those the browser wants."""
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved
