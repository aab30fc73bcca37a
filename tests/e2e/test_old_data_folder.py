"""A data folder that earlier code wrote opens, passes `verify`, and answers as then; see tests/fixtures/README.md.

Only the command and HTTP are used, so that the test outlives every change inside.
"""

import csv
import http.client
import io
import json
import re
import tarfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from conftest import ROOT, Server

FIXTURES = ROOT / "tests" / "fixtures"
CHANGED: dict[str, Any] = {
    change["question"]: change["answer"]
    for change in json.loads((FIXTURES / "data-folder-1-changes.json").read_text(encoding="utf-8"))
}
"""Answers that were changed on purpose."""
EXACT_FROM = "2026-05-07T09:00:00Z"
"""When the last checkpoint was: gaps between what was sent before it are known by minutes."""
_DIGITS = re.compile(r"(\.\d{6})000Z")
# The formula by slots has a new version, by which what the folder holds is answered as before.
EXPECTED: list[dict[str, Any]] = json.loads(
    _DIGITS.sub(r"\1Z", (FIXTURES / "data-folder-1.json").read_text(encoding="utf-8")).replace(
        '"uptime/1"', '"uptime/1.1"'
    )
)
"""Questions and answers."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old data folder, unpacked where `serve` looks for one."""
    with tarfile.open(FIXTURES / "data-folder-1.tar.xz") as archive:
        # Python before 3.11.4 has no filters; Python 3.12 warns where none is chosen.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)
    return tmp_path / "data"


def get(port: int, path: str) -> tuple[int, str, str]:
    """Status, media type and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, str(response.getheader("content-type")).partition(";")[0], text


def ask(port: int, question: str) -> tuple[int, Any]:
    """Status and answer. A CSV becomes rows by column name, sorted: compaction may change the order of an export."""
    status, media_type, text = get(port, question)
    if media_type == "text/csv":  # exports wrote nine digits of a second before, also where six are exact
        return status, sorted(csv.DictReader(io.StringIO(text, newline="")), key=lambda row: list(row.values()))
    return status, json.loads(text)


def differences(old: Any, new: Any, where: str = "answer") -> list[str]:
    """Every place where the new answer lacks a field, or has another value or type; added fields are no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{where}.{name} is gone" for name in old.keys() - new.keys()]
        shared = old.keys() & new.keys()
        return gone + [text for name in shared for text in differences(old[name], new[name], f"{where}.{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [text for place, pair in pairs for text in differences(*pair, f"{where}[{place}]")]
    return [] if type(old) is type(new) and old == new else [f"{where} was {old!r}, is {new!r}"]


def by_slots(answer: Any) -> Any:
    """An answer about uptime as the formula by slots gives it now.

    `accountable_s` was that of availability, in which blind time counts now that receptions cover: so that of the fleet
    may be another, too.
    """
    if isinstance(answer, list):
        return [by_slots(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    renamed = {name: by_slots(value) for name, value in answer.items() if name not in ("left_out", "accountable_s")}
    if "left_out" in answer:
        renamed["left_out_slots"] = {name.replace(" ", "_"): count for name, count in answer["left_out"].items()}
    if "reason" in answer:
        renamed["reason"] = answer["reason"].replace(" ", "_")
    return renamed if "device_id" in answer or "from" in answer or "left_out" in answer else without(renamed)


def without(group: dict[str, Any]) -> dict[str, Any]:
    """The figures of a group without availability."""
    return {name: value for name, value in group.items() if name != "availability"}


def without_status(answer: Any) -> Any:
    """An answer without what changes while the service runs: a silent device is late, then down."""
    if isinstance(answer, list):
        return [without_status(one) for one in answer]
    if isinstance(answer, dict):
        return {name: without_status(value) for name, value in answer.items() if name not in ("status", "by_status")}
    return answer


def check_answers(server: Server, moment: str, *, is_soon: bool = True) -> None:
    """Compare all answers. Args: is_soon: the service was started so lately that no status is another yet."""
    compared = (lambda answer: answer) if is_soon else without_status
    for expected in EXPECTED:
        question, recorded = expected["question"], expected["answer"]
        status, answer = ask(server.port, question)
        assert status == expected["status"], (moment, question, answer)
        recorded_now = compared(CHANGED.get(question, recorded))
        assert differences(recorded_now, compared(answer)) == [], (moment, question)
        if "/uptime?" in question:
            _, answer = ask(server.port, f"{question}&formula=uptime/1")
            assert differences(by_slots(recorded), answer) == [], (moment, question)


def check_seconds(server: Server) -> None:
    """What is up, down and left out is the window; old gaps are known by minutes, and the answer says so."""
    for question in [one["question"] for one in EXPECTED if "/devices/" in one["question"]]:
        if "/uptime?" in question and "mute" not in question:
            _, answer = ask(server.port, question if "&explain=true" in question else f"{question}&explain=true")
            seconds = [span["seconds"] for span in answer["intervals"]]
            start, end = (datetime.fromisoformat(answer[name]) for name in ("from", "to"))
            length_s = (end - start).total_seconds()
            down_s = sum(span["seconds"] for span in answer["intervals"] if span["reason"] == "down")
            left_out_s = sum(answer["left_out_s"].values())
            assert round(sum(seconds), 6) == round(answer["up_s"] + down_s + left_out_s, 6) == length_s
            resolution = ("minute", EXACT_FROM) if answer["from"] < EXACT_FROM else (None, None)
            assert (answer.get("resolution"), answer.get("exact_from")) == resolution


def check_verified(folder: Path) -> None:
    done = run_command("verify", "--data", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for_compaction(server: Server) -> None:
    """Wait until compaction has done something, and then nothing more for a second."""
    end = time.monotonic() + 60
    done, done_at = 0, time.monotonic()
    while time.monotonic() < end:
        lines = get(server.port, "/metrics")[2].splitlines()
        (count,) = (int(float(line.split()[1])) for line in lines if line.startswith("fleetpulse_compactions_total "))
        if count != done:
            done, done_at = count, time.monotonic()
        elif done and time.monotonic() - done_at > 1:
            return
        time.sleep(0.05)
    raise AssertionError(f"compaction did not come to rest after {done} pieces:\n{server.log.read_text()}")


def test_a_data_folder_of_earlier_code_opens_and_answers_as_it_did(folder: Path, serve: Callable[..., Server]) -> None:
    check_verified(folder)
    server = serve(devices=None)
    check_answers(server, "after the opening")
    check_seconds(server)
    wait_for_compaction(server)
    check_answers(server, "after a checkpoint and compaction", is_soon=False)
    assert server.stop() == 0
    check_verified(folder)
    check_answers(serve(devices=None), "after a restart")


def test_what_is_added_to_an_answer_is_no_difference_and_all_else_is() -> None:
    old = {"uptime": 96.5, "rows": [{"count": 1}], "until": None}
    assert differences(old, {**old, "rows": [{"count": 1, "unit": ""}], "more": 1}) == []
    changed: list[tuple[dict[str, Any], str]] = [
        ({"uptime": 96.50001}, "answer.uptime was 96.5, is 96.50001"),
        ({"rows": []}, "answer.rows was [{'count': 1}], is []"),
        ({"rows": [{"count": 1.0}]}, "answer.rows[0].count was 1, is 1.0"),
        ({"rows": [{}]}, "answer.rows[0].count is gone"),
        ({"until": False}, "answer.until was None, is False"),
    ]
    for change, text in changed:
        assert differences(old, old | change) == [text]
