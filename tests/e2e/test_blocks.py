"""Blocks are an open layout: DuckDB reads them alone, by what docs/reference/blocks.md says."""

import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from conftest import PUBLISHED, ROOT, Server
from http_client import Client


def test_duckdb_alone_finds_what_was_said(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("--auto-define")
    client = Client(server.port)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for value in (40, 42.5):
        body = {"sent_at": now, "metrics": {"cpu": value}}
        assert client.ask("POST", f"/api/v1/devices/{PUBLISHED[1]}/metrics", body)[0] == 204
    assert (
        client.ask("POST", f"/api/v1/devices/{PUBLISHED[1]}/heartbeat", {"sent_at": "2026-01-01T07:04:05Z"})[0] == 204
    )
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    monkeypatch.chdir(server.folder / "blocks")
    rows = duckdb.sql(
        "SELECT id, name, value, epoch_ns(\"at\") // 1000000000 FROM 'samples-float-*.parquet' "
        "JOIN 'devices-*.parquet' USING (device) JOIN 'metrics-*.parquet' USING (metric) ORDER BY value"
    ).fetchall()
    at_s = int(datetime.fromisoformat(now).timestamp())
    assert rows == [(PUBLISHED[1], "cpu", 40.0, at_s), (PUBLISHED[1], "cpu", 42.5, at_s)]
    ((device, minutes, present),) = duckdb.sql(
        "SELECT id, minutes, present FROM 'presence-*.parquet' JOIN 'devices-*.parquet' USING (device)"
    ).fetchall()
    assert (device, minutes, [m for m in range(1440) if present[m // 8] >> m % 8 & 1]) == (
        PUBLISHED[1],
        1,
        [7 * 60 + 4],
    )


def test_the_query_of_the_reference_works_on_a_generated_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetpulse.cli.main import main

    assert main(["generate", "--data", str(tmp_path / "past"), "--devices", "3", "--days", "2"]) == 0
    monkeypatch.chdir(tmp_path / "past" / "blocks")
    (query,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "reference" / "blocks.md").read_text(), re.DOTALL)
    rows = duckdb.sql(query).fetchall()
    assert len(rows) == 5
    assert {row[0] for row in rows} == {"device-0000000"}
    assert all(0 <= row[2] <= 100 for row in rows)
