"""The page of labels on this machine alone: loopback, a random token in its address, and no guests.

Any page that a browser has open may send requests to 127.0.0.1. So an address without the token is unknown, and
requests that name another host (DNS rebinding) or come from another origin are refused.
"""

__all__ = ["Server"]

import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from weighbridge.errors import ConfigError, DataError
from weighbridge.labelling.page import served_page
from weighbridge.labelling.photos import TargetPhotos
from weighbridge.labelling.session import Session

_LARGEST = 10_000  # bytes of a request
_SIDE = 1600  # pixels of a picture


class Server(ThreadingHTTPServer):
    """Serves one session on 127.0.0.1 until it is shut down; a context manager.

    Args:
        session: what is asked, and where answers go.
        photos: the pictures.
        port: 0 for any that is free.

    Raises:
        ConfigError: if the port is taken.
    """

    daemon_threads = True

    def __init__(self, session: Session, photos: TargetPhotos, port: int = 0) -> None:
        self.session, self.photos = session, photos
        self.token = secrets.token_urlsafe(16)
        try:
            super().__init__(("127.0.0.1", port), _Requests)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {port} cannot be used ({error}). Choose another --port, or 0 for any") from error

    @property
    def address(self) -> str:
        """The URL of the page."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"


class _Requests(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "weighbridge", ""
    common: ClassVar[dict[str, str]] = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def do_GET(self) -> None:
        path = self._welcome()
        if path is None:
            return
        if path == "":
            self._page()
        elif path.startswith("photo/") and path[6:].isdigit():
            self._photo(int(path[6:]))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        path, length = self._welcome(), self.headers.get("Content-Length", "")
        if path is None:
            return
        if not length.isdigit() or int(length) > _LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "expected a short request that says its length")
            return
        body = self.rfile.read(int(length))
        if self.headers.get_content_type() != "application/json":  # what a form on another page cannot send
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON")
            return
        try:
            given = json.loads(body)
            if path == "answer":
                state = self.server.session.answer(int(given["place"]), str(given["label"]), float(given["seconds"]))
            elif path == "undo":
                state = self.server.session.undo()
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
                return
        except (ValueError, KeyError, TypeError):
            self._refuse(HTTPStatus.BAD_REQUEST, "expected place, label and seconds")
        except DataError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except OSError as error:
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, f"the labels cannot be written: {error}")
        else:
            self._answer(HTTPStatus.OK, json.dumps(state).encode(), "application/json")

    def log_message(self, *about: Any) -> None:
        """The terminal is for people."""

    def _welcome(self) -> str | None:
        """What is asked for below the token; None where the request was refused."""
        hosts = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in hosts or (origin is not None and origin != f"http://{host}"):
            self._refuse(HTTPStatus.FORBIDDEN, "only the page of weighbridge itself may ask")
            return None
        token, slash, path = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here. Open the address that weighbridge label printed")
            return None
        return path

    def _page(self) -> None:
        nonce, session = secrets.token_urlsafe(16), self.server.session
        policy = (
            f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
            f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page = served_page(session.question, f"/{self.server.token}/", session.state(), nonce)
        self._answer(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": policy})

    def _photo(self, place: int) -> None:
        files = self.server.session.question.files
        if place >= len(files):
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such photo")
            return
        try:
            data, kind = self.server.photos.picture(files[place], side=_SIDE)
        except (DataError, OSError) as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
        else:
            self._answer(HTTPStatus.OK, data, kind)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what was sent with it is not read
        self._answer(status, json.dumps({"error": why}).encode(), "application/json")

    def _answer(self, status: HTTPStatus, data: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **self.common,
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
