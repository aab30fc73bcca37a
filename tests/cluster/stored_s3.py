"""moto's S3 API, whose objects outlive a kill: `python stored_s3.py PORT FOLDER`.

moto keeps everything in memory. Here every request that changes something is appended to a file of FOLDER before it is
answered, and a start does all of them again; uploads in parts, which would have other numbers then, are refused. An
object that is written a second time with other content, notes aside, is also listed in the file `overwritten`: nodes
must never do it.
"""

import hashlib
import io
import json
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.test import run_wsgi_app

from fleetpulse.blocks.store import NOTE_SUFFIX

CHANGING = {"PUT", "POST", "DELETE"}
KEPT = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")


class StoredS3:
    """A WSGI application around moto's."""

    def __init__(self, folder: Path) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._overwritten = folder / "overwritten"
        self._digests: dict[str, str] = {}
        path = folder / "requests"
        done = path.read_bytes().splitlines() if path.exists() else []
        for line in done:
            if line.endswith(b"}"):  # the last one may have been cut short, and was not answered then
                self._do_again(json.loads(line))
        self._file = path.open("wb")
        self._file.writelines(line + b"\n" for line in done if line.endswith(b"}"))
        self._file.flush()

    def _do_again(self, kept: dict[str, Any]) -> None:
        body = bytes.fromhex(kept.pop("body"))
        run_wsgi_app(self._moto, _environment(kept, body), buffered=True)
        self._note_name(kept, body)

    def __call__(self, environment: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environment["REQUEST_METHOD"] not in CHANGING:
            return self._moto(environment, start_response)
        body = _body_of(environment)
        kept = {name: environment[name] for name in environment if name in KEPT or name.startswith("HTTP_")}
        kept = {name: value for name, value in kept.items() if isinstance(value, str)}
        if "upload" in kept["QUERY_STRING"]:
            start_response("501 Not Implemented", [("Content-Length", "0")])
            return []
        with self._lock:
            pieces, status, headers = run_wsgi_app(self._moto, _environment(kept, body), buffered=True)
            if status.startswith("2"):
                self._file.write(json.dumps(kept | {"body": body.hex()}).encode() + b"\n")
                self._file.flush()  # a kill of this process leaves it with the kernel
                self._note_name(kept, body)
        start_response(status, list(headers))
        return list(pieces)

    def _note_name(self, kept: dict[str, Any], body: bytes) -> None:
        """Keep in mind which objects there are or were."""
        name = unquote(kept["PATH_INFO"])
        if kept["REQUEST_METHOD"] != "PUT" or "/" not in name.strip("/") or name.endswith(NOTE_SUFFIX):
            return
        digest = hashlib.sha256(body).hexdigest()
        if self._digests.setdefault(name, digest) != digest:
            with self._overwritten.open("a") as file:
                file.write(f"{name}\n")


def _body_of(environment: dict[str, Any]) -> bytes:
    stream = environment["wsgi.input"]
    body: bytes = stream.read(int(environment.get("CONTENT_LENGTH") or 0))
    return body


def _environment(kept: dict[str, Any], body: bytes) -> dict[str, Any]:
    return kept | {
        "CONTENT_LENGTH": str(len(body)),
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


if __name__ == "__main__":
    run_simple(
        "127.0.0.1", int(sys.argv[1]), StoredS3(Path(sys.argv[2])), threaded=True, request_handler=MotoRequestHandler
    )
