"""Reads a page of the documentation as a person at terminals does: runs its blocks in order, compares their output.

The convention is described in CONTRIBUTING.md, "Documentation that runs".
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent
RUN = ("sh", "python")
OUTPUT = ("output", "json output")
OTHER = ("", "json", "csv", "toml", "ini", "yaml", "sql", "text")
"""Blocks that are not run here: files, answers that depend on the fleet, drawings; SQL has tests of its own."""
KEEP_RUNNING, PRESS_CTRL_C, FAILS, NOT_RUN = "keep running", "press Ctrl-C", "fails", "not run: "
ANYTHING = "…"
PATIENCE_S = 120
_PORT = re.compile(r"\b673\d\b")
"""Ports that pages name; each becomes a free one, since another server may run on this machine."""


class PageError(AssertionError):
    """A page breaks the convention, or does not do what it says."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, or (language "") a mark that stands alone; `mark` is the HTML comment directly before it."""

    where: str
    language: str
    text: str
    mark: str = ""


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order. Raises: PageError: a block or a mark is not one of the convention."""
    blocks: list[Block] = []
    mark = ""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        where = f"{page.name}, line {number}"
        if line.lstrip().startswith("```"):
            body: list[str] = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            block = Block(where, line.strip().removeprefix("```"), "\n".join(body) + "\n", mark)
            _check(block, blocks)
            blocks.append(block)
            mark = ""
            continue
        comment = re.fullmatch(r"<!-- (.*) -->", line)
        mark = comment[1] if comment else ""
        if mark == PRESS_CTRL_C:
            blocks.append(Block(where, "", "", mark))
            mark = ""
    return blocks


def _check(block: Block, before: Sequence[Block]) -> None:
    if block.language not in (*RUN, *OUTPUT, *OTHER):
        raise PageError(
            f"{block.where}: a block in `{block.language}`; use one of {', '.join((*RUN, *OUTPUT, *OTHER))}"
        )
    is_known = block.mark in ("", KEEP_RUNNING, FAILS) or (
        len(block.mark) > len(NOT_RUN) and block.mark.startswith(NOT_RUN)
    )
    if block.language in RUN and not is_known:
        raise PageError(f"{block.where}: the mark `{block.mark}` is not known, or gives no reason")
    if block.language in OUTPUT and not (before and before[-1].language in RUN):
        raise PageError(f"{block.where}: no block that runs is before this output")


class Reader:
    """A person at terminals in a folder like a clone: one shell for the blocks, and one for each that keeps running."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._ports: dict[str, str] = {}
        self._log = folder.parent / "background.log"
        self._servers: list[subprocess.Popen[bytes]] = []
        self._blocks = 0
        self._make_clone()
        (folder.parent / ".curlrc").write_text("silent\nshow-error\n")  # at a terminal curl draws no progress either
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLEETPULSE_")}
        self._environment = inherited | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "FLEETPULSE_PORT": self._free("6733"),
            "FLEETPULSE_URL": f"http://127.0.0.1:{self._free('6733')}",
            "CURL_HOME": str(folder.parent),
            "COLUMNS": "120",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        self._shell = self._start(["bash", "--norc", "-e"], stdin=subprocess.PIPE)

    def _make_clone(self) -> None:
        """What pages use of a clone, with the command installed, so that `make run` has nothing to install."""
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "devices.csv"):
            shutil.copy(ROOT / name, self._folder)
        (self._folder / ".venv").mkdir()
        (self._folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
        subprocess.run(
            ["make", "--touch", "--silent", "install", "run"], cwd=self._folder, check=True, capture_output=True
        )

    def _free(self, port: str) -> str:
        if port not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self._ports[port] = str(listener.getsockname()[1])
        return self._ports[port]

    def _start(self, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is left of the shells and of what they started, each in a process group of its own."""
        for process in (self._shell, *self._servers):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)
        if self._shell.stdin:
            self._shell.stdin.close()

    def read(self, blocks: Sequence[Block]) -> None:
        """Do what the blocks say. Raises: PageError: one fails, or prints something else than the page says."""
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            if block.mark == PRESS_CTRL_C:
                self._press_ctrl_c(block)
            elif block.language in RUN and not block.mark.startswith(NOT_RUN):
                output = self._run(block)
                expected = following if following and following.language in OUTPUT else None
                if expected:
                    compare(expected, output)
                elif "urn:fleetpulse:problem" in output and block.mark != FAILS:
                    raise PageError(f"{block.where}: the request was refused:\n{output}")

    def _run(self, block: Block) -> str:
        self._blocks += 1
        file = self._folder.parent / f"block-{self._blocks}.{block.language}"
        file.write_text(_PORT.sub(lambda port: self._free(port[0]), block.text), encoding="utf-8")
        if block.mark == KEEP_RUNNING:
            self._keep_running(block, file)
            return ""
        output, done = file.with_suffix(".output"), file.with_suffix(".status")
        call = f". {file}" if block.language == "sh" else f"{sys.executable} {file}"
        call = f"{{ {call}; }} >{output} 2>&1 </dev/null"
        # In the shell itself, so that variables stay; a block that shall fail gets a shell of its own that it may end.
        call = f"set +e; ( set -e; {call} )" if block.mark == FAILS else call
        call += "; [ $? = 0 ] && echo passed || echo failed; set -e"
        assert self._shell.stdin
        self._shell.stdin.write(f"{{ {call}; }} >{done}.part; mv {done}.part {done}\n".encode())
        self._shell.stdin.flush()
        end = time.monotonic() + PATIENCE_S
        while not done.exists() and self._shell.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        text = output.read_text(encoding="utf-8") if output.exists() else ""
        for port, free in self._ports.items():
            text = text.replace(free, port)
        if not done.exists() or (block.mark == FAILS) != (done.read_text() == "failed\n"):
            what = "did not fail" if done.exists() else "failed, or took too long"
            raise PageError(f"{block.where}: the block {what}:\n{block.text}\n{text}\n{self._log.read_text()}")
        return text

    def _keep_running(self, block: Block, file: Path) -> None:
        """Start a server and wait until it is ready."""
        self._servers.append(self._start(["bash", "--norc", "-e", str(file)], stdin=subprocess.DEVNULL))
        named = _PORT.search(block.text)
        url = f"http://127.0.0.1:{self._free(named[0] if named else '6733')}/readyz"
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self._servers[-1].poll() is None:
            try:
                urllib.request.urlopen(url, timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
            else:
                return
        raise PageError(f"{block.where}: the server is not ready:\n{self._log.read_text()}")

    def _press_ctrl_c(self, block: Block) -> None:
        running = [server for server in self._servers if server.poll() is None]
        if not running:
            raise PageError(f"{block.where}: nothing is running")
        os.killpg(running[-1].pid, signal.SIGINT)
        running[-1].wait(PATIENCE_S)


def compare(expected: Block, output: str) -> None:
    """Hold real output against what the page says. Raises: PageError: they differ."""
    if expected.language == "json output":
        try:
            is_same = _is_same(json.loads(expected.text), json.loads(output))
        except ValueError:
            is_same = False
    else:
        patterns = [_pattern(line) for line in _lines(expected.text)]
        is_same = re.fullmatch("".join(patterns), "".join(f"{line}\n" for line in _lines(output))) is not None
    if not is_same:
        raise PageError(f"{expected.where}: the page says\n{expected.text}\nbut this is printed:\n{output}")


def _lines(text: str) -> list[str]:
    """Lines without what depends on the terminal: runs of spaces, rules of tables, blank lines."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line.strip("─ ")]


def _pattern(line: str) -> str:
    if line == ANYTHING:
        return r"(?:[^\n]*\n)*?"
    return "[^\n]*".join(re.escape(part) for part in line.split(ANYTHING)) + "\n"


def _is_same(expected: Any, actual: Any) -> bool:
    """Whether JSON is equal; `"…"` stands for any value, and `"…": "…"` for further fields."""
    if expected == ANYTHING:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        is_open = ANYTHING in expected
        named = {name: value for name, value in expected.items() if name != ANYTHING}
        is_complete = named.keys() <= actual.keys() if is_open else named.keys() == actual.keys()
        return is_complete and all(_is_same(value, actual[name]) for name, value in named.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_is_same, expected, actual))
    return bool(expected == actual)
