"""What must be so in the end: each node answers what the ledger holds, and all nodes hold the same."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleetpulse.simulation.verdict import parse_duration
from http_client import Client
from load import DAYS, Account, Load

DAY_S = 86_400


@dataclass
class Verdict:
    """What is wrong, and how many events are stored more than once."""

    faults: list[str]
    stored: int
    """Events that the node has accepted, of all devices of the load."""
    doubled: int
    """Of these, those beyond the acknowledged ones."""


def judge(load: Load, port: int, *, retries: int = 0) -> Verdict:
    """Compare one node with the ledger.

    Args: retries: how many requests the balancer may have sent again by itself.
    """
    client, faults, stored, unsure = Client(port), list[str](), 0, 0
    for device, account in load.accounts.items():
        stats, counts, samples = (_answer(client, device, what) for what in ("stats", "account", _samples_path()))
        faults += _wrong_figures(device, account, stats, samples)
        if (
            counts["accepted"] != counts["applied"] + counts["pending"]
            or counts["accepted"] != counts["heartbeats"] + counts["samples"]
        ):
            faults.append(f"{device}: the account does not add up: {counts}")
        if counts["accepted"] < account.acknowledged:
            faults.append(f"{device}: {account.acknowledged} events were acknowledged, {counts['accepted']} are stored")
        stored += counts["accepted"]
        unsure += account.unsure
    client.close()
    doubled = stored - load.events
    if doubled > unsure + retries:
        faults.append(
            f"{doubled} events are stored twice, which {unsure} unsure ones and {retries} retries do not explain"
        )
    return Verdict(faults, stored, doubled)


def _samples_path() -> str:
    now_s = datetime.now(UTC).timestamp()
    start, end = (datetime.fromtimestamp(at_s // 60 * 60, UTC) for at_s in (now_s - (DAYS + 1) * DAY_S, now_s))
    window = "&".join(f"{name}={at:%Y-%m-%dT%H:%M:%SZ}" for name, at in (("from", start), ("to", end)))
    return f"metrics?types=upload_time&aggregation=sum&{window}"


def _answer(client: Client, device: str, what: str) -> Any:
    status, answer = client.ask("GET", f"/api/v1/devices/{device}/{what}")
    assert status == 200, (device, what, status, answer)
    return answer


def _wrong_figures(device: str, account: Account, stats: Any, samples: Any) -> list[str]:
    metric = samples["metrics"]["upload_time"]
    total = sum(value for _, value in account.samples) if account.samples else None
    found = (stats["uptime"], parse_duration(stats["avg_upload_time"]), metric["count"], metric["value"])
    right = (account.uptime, account.average, len(account.samples), total)
    if abs(found[0] - right[0]) > 1e-9 or found[1:] != right[1:]:
        return [f"{device}: {found} is not {right} (uptime, average, samples, sum)"]
    return []
