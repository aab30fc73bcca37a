"""Messages by Apprise, each try in a process of its own (`apprise_child.py`), which is killed when its time is over."""

import os
import subprocess
import sys
import tempfile
import threading
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from fleetpulse.alert.receivers.apprise_child import Report, Task
from fleetpulse.alert.receivers.letter import Letter, Terms
from fleetpulse.alert.receivers.outcome import Outcome, failed, without

START_S = 5.0
"""Time that the process may take beside the try itself."""
_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ")
"""Of the environment; what else is in it is not Apprise's concern, such as credentials, and proxies."""


class AppriseSender:
    """Sends by Apprise. `files`: a folder of files that URLs may name; empty: there is none."""

    def __init__(self, *, files: str = "") -> None:
        self._files = files
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def send(self, letter: Letter, terms: Terms) -> Outcome:
        """Try once. Blocks."""
        message = letter.message
        task = Task(
            url=letter.url,
            title=letter.text.title,
            body=letter.text.body,
            kind="resolved" if message.kind == "resolved" else message.severity,
            allows_private=terms.allows_private,
            timeout_s=terms.timeout_s,
            files=self._files,
        )
        return self._run(task)

    def check(self, url: str, *, timeout_s: float) -> str:
        """Why Apprise cannot use this URL; empty where it can. Connects to nothing. Blocks."""
        outcome = self._run(Task(url=url, is_check=True, timeout_s=timeout_s))
        return "" if outcome.is_delivered else outcome.text

    def close(self) -> None:
        """Kill what runs. Tries of these fail, and are made again after the next start."""
        with self._lock:
            self._is_closed = True
            for process in self._running:
                process.kill()

    def _run(self, task: Task) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="fleetpulse-apprise-") as folder:
            task.folder = folder
            process = self._start(folder)
            if process is None:
                return failed("the service stops")
            try:
                answer, _ = process.communicate(msgspec.json.encode(task), timeout=task.timeout_s + START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return failed(f"it took longer than {task.timeout_s:g} s (delivery_timeout_s)")
            finally:
                with self._lock:
                    self._running.discard(process)
        return _outcome(task, answer, process.returncode)

    def _start(self, folder: str) -> "subprocess.Popen[bytes] | None":
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        with self._lock:
            if self._is_closed:
                return None
            process = subprocess.Popen(
                [sys.executable, "-m", "fleetpulse.alert.receivers.apprise_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=environment,
            )
            self._running.add(process)
            return process


def _outcome(task: Task, answer: bytes, code: int) -> Outcome:
    try:
        report = msgspec.json.decode(answer, type=Report)
    except msgspec.DecodeError:
        return failed(f"the process of Apprise ended with {code} and no answer")
    if report.is_done:
        return Outcome(is_delivered=True, text="Apprise has delivered it")
    if report.refusal:
        return failed(f"Apprise was stopped: {report.refusal}", is_refused=True)
    texts = [without(text, secrets_of(task.url)) for text in report.texts]
    return failed("; ".join(dict.fromkeys(texts)) or "Apprise could not deliver it, and does not say why")


def secrets_of(url: str) -> list[str]:
    """All pieces of a URL that may be secret, as they are written and as they are meant."""
    parts = urlsplit(url)
    pieces = [url, parts.netloc, parts.username, parts.password, parts.path.strip("/"), parts.query]
    pieces += parts.path.split("/")
    pieces += [piece for pair in parts.query.split("&") for piece in (pair, pair.partition("=")[2])]
    found = [piece for piece in pieces if piece]
    return [form for piece in found for form in (piece, unquote(piece), unquote_plus(piece))]
