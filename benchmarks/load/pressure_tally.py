"""What clients that press a server were answered: outcomes, latencies, and what must not have happened."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ALLOWED = {200, 204}


@dataclass
class Answer:
    """One answer: its status, the reason of a refusal, how long a client shall wait, and the body."""

    status: int
    body: bytes
    retry_after: str | None

    @property
    def reason(self) -> str:
        """The last part of a problem's type, "" where there is none."""
        if self.status < 400:
            return ""
        try:
            return str(json.loads(self.body).get("type", "")).rpartition(":")[2]
        except ValueError:
            return "no JSON"


def figures_of(body: bytes) -> Any:
    """An answer without what these clients change: notes, the state of declarations, devices without labels."""
    answer = json.loads(body)
    for name in ("notes", "declarations"):
        answer.pop(name, None)
    if isinstance(answer.get("groups"), list):
        answer["groups"] = [group for group in answer["groups"] if group.get("group") != ""]
    return answer


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two answers differ first."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(difference(one[key], other[key], f"{path}.{key}") for key in one if one[key] != other[key])
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(
            difference(*pair, f"{path}[{place}]")
            for place, pair in enumerate(zip(one, other, strict=True))
            if pair[0] != pair[1]
        )
    return f"{path}: {str(one)[:100]} is now {str(other)[:100]}"


@dataclass
class Tally:
    """What came back: outcomes by kind of client, latencies of small questions, and what must not have happened."""

    outcomes: Counter[str] = field(default_factory=Counter)
    small_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def note(self, kind: str, answer: Answer, *, allowed: set[int] = ALLOWED) -> None:
        """Count an answer; one that is neither allowed nor a documented refusal is a fault."""
        self.outcomes[f"{kind} {answer.status} {answer.reason}".rstrip()] += 1
        if answer.status in allowed:
            return
        if answer.status == 503 and answer.retry_after and answer.reason not in ("", "no JSON"):
            return
        self.fault(f"{kind}: {answer.status} {answer.body[:300]!r}")

    def fault(self, text: str) -> None:
        """Note what must not have happened; the first hundred are kept."""
        if len(self.faults) < 100:
            self.faults.append(text)
