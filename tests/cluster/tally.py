"""What a round of faults has shown, in figures, and how long acknowledgements may be away."""

import json
import os
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults import Fault

from conftest import ROOT
from load import Load

SILENCE_S_MAX = 15.0
"""The lease, and a leader of NATS, are taken over in less."""
NATS_SILENCE_S_MAX = 10.0
NODE_SILENCE_S_MAX = 20.0
"""The balancer gives a report to another node when one that stands still has not answered for 15 s. Every connection of
the load sends to all nodes, so all of them soon wait for that one."""
STORES_SILENCE_S_MAX = 5.0
"""Heartbeats go on without PostgreSQL and S3; a machine that does other things besides needs a moment."""
TAKEN_S_MAX = 15.0
UNFIT_TAKEN_S_MAX = 30.0
"""A holder that loses only NATS notices it when an entry is overdue, and gives the lease up 10 s after that."""
NODES = {"holder", "node1", "node2", "node3"}


@dataclass
class Tally:
    """`disturbances`: what was disturbed, with its figures."""

    disturbances: list[tuple[tuple[Fault, ...], dict[str, float]]] = field(default_factory=list)

    def add(self, faults: tuple[Fault, ...], *, silence_s: float, taken_s: float, ready_s: float) -> None:
        """Note one disturbance: without acknowledgements, until the lease was taken over, until all nodes served."""
        taken_s_max = UNFIT_TAKEN_S_MAX if faults[0].way == "cut nats" else TAKEN_S_MAX
        assert taken_s < taken_s_max, (faults, taken_s)
        self.disturbances.append((faults, {"silence_s": silence_s, "taken_s": taken_s, "ready_s": ready_s}))

    @staticmethod
    def silence_s_max(faults: tuple[Fault, ...]) -> float:
        """How long nothing at all may be acknowledged from the beginning of faults until all nodes serve again."""
        members = {fault.member for fault in faults}
        if members <= {"postgres", "s3"}:
            return STORES_SILENCE_S_MAX
        if any(fault.way in {"pause", "hold", "away", "cut nats"} and fault.member in NODES for fault in faults):
            return NODE_SILENCE_S_MAX
        is_one = len(faults) == 1 and members <= {"leader", "follower"}
        return NATS_SILENCE_S_MAX if is_one else SILENCE_S_MAX

    def _longest(self, figure: str, *members: str) -> float:
        """The largest figure of disturbances of one of these members alone; none given: of all."""
        found = [
            figures[figure]
            for faults, figures in self.disturbances
            if not members or (len(faults) == 1 and faults[0].member in members)
        ]
        return round(max(found, default=0.0), 2)

    def record(self, path: Path, load: Load, *, seed: int, writes: int, messages: int) -> None:
        """Write the figures as results of benchmarks are written."""
        sizes = Counter(len(faults) for faults, _ in self.disturbances)
        figures: dict[str, Any] = {
            "seed": seed,
            "events acknowledged": load.events,
            "requests acknowledged": load.requests,
            "single faults": sizes[1],
            "pairs of faults": sizes[2],
            "messages about alerts": messages,
            "writes of the holder": writes,
            "refused or broken off, and sent again": dict(load.refusals),
            "longest s": {
                "until another node has the lease": self._longest("taken_s"),
                "without acknowledgement, one NATS server": self._longest("silence_s", "leader", "follower"),
                "without acknowledgement, PostgreSQL or S3": self._longest("silence_s", "postgres", "s3"),
                "without acknowledgement, one node": self._longest("silence_s", *NODES),
                "without acknowledgement, any": self._longest("silence_s"),
                "until all nodes serve after a fault": self._longest("ready_s"),
                "until a report was acknowledged": round(load.slowest_s, 2),
            },
        }
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        result = {"benchmark": "cluster", "commit": _commit(), "at": at, "machine": machine, "figures": figures}
        path.write_text(json.dumps(result, indent=1) + "\n")


def _commit() -> str:
    words = ["git", "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
