"""devices.csv, metrics.json and alerts.toml: read at the start, and again while events come in."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from fleetpulse.errors import AlertsFileError, DevicesFileError, MetricsFileError
from fleetpulse.ingest.device_declarations import DeviceChange
from fleetpulse.pipeline.service import Service
from memory_service import World

NOT_TAKEN = "a file was not taken; what it says stays as it was"


class Files:
    """Both files, and a started service that reads them."""

    def __init__(self, folder: Path) -> None:
        self.devices, self.metrics = folder / "devices.csv", folder / "metrics.json"
        self.devices.write_text("device_id,site\na,x\n")
        self.metrics.write_text('[{"name": "cpu"}]')
        self.service: Service


def run(folder: Path, test: Callable[[Files], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        files = Files(folder)
        paths = {"devices": str(files.devices), "metrics": str(files.metrics)}
        files.service = World(folder).service(**{**paths, **settings})
        try:
            await files.service.node.start()
            await test(files)
        finally:
            await files.service.node.stop()

    asyncio.run(life())


async def events_of_reload(files: Files) -> list[str]:
    with capture_logs() as logs:
        await files.service.declared_files.reload()
    return [entry["event"] for entry in logs]


def test_both_files_are_read_at_the_start(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        assert files.service.registry.numbers == {"a": 0}
        assert files.service.metric_definitions.known.names == ["cpu", "upload_time"]

    run(tmp_path, test)


def test_both_are_read_again_and_what_they_no_longer_name_stays(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        files.devices.write_text("device_id\nb\n")
        files.metrics.write_text('[{"name": "load"}]')
        assert await events_of_reload(files) == ["devices.csv read", "metrics.json read"]
        assert files.service.registry.numbers == {"a": 0, "b": 1}
        assert files.service.metric_definitions.known.names == ["cpu", "load", "upload_time"]

    run(tmp_path, test)


def test_a_faulty_file_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        files.devices.write_text("device_id\nb\nno id\n")
        assert await events_of_reload(files) == [NOT_TAKEN, "metrics.json read"]
        assert files.service.registry.numbers == {"a": 0}

    run(tmp_path, test)


def test_nothing_is_read_again_by_a_node_that_is_not_ready(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        files.service.readiness.is_ready = False
        assert await events_of_reload(files) == ["SIGHUP has nothing to do: not ready yet"]

    run(tmp_path, test)


def test_without_files_there_is_nothing_to_read_again(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        assert await events_of_reload(files) == ["SIGHUP has nothing to do: no --devices, --metrics or --alerts file"]

    run(tmp_path, test, devices="", metrics="")


ERRORS = [("devices", DevicesFileError), ("metrics", MetricsFileError), ("alerts", AlertsFileError)]


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_a_missing_file_ends_the_start(tmp_path: Path, name: str, error: type[Exception]) -> None:
    async def test(files: Files) -> None:
        raise AssertionError("it must not start")

    with pytest.raises(error, match="does not exist"):
        run(tmp_path, test, **{name: str(tmp_path / "missing")})


def test_a_file_that_exceeds_a_limit_is_named_with_the_setting(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        raise AssertionError("it must not start")

    (tmp_path / "many.csv").write_text("device_id\na\nb\n")
    with pytest.raises(DevicesFileError, match=r"many\.csv: .*raise --devices-max"):
        run(tmp_path, test, devices=str(tmp_path / "many.csv"), devices_max=1)


def test_a_preview_says_what_a_reading_would_change_and_changes_nothing(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        await files.service.inventory.change("a", DeviceChange(labels={"site": "y"}, note="n"))
        files.devices.write_text("device_id,site,interval\na,x,5m\nb,z,\n")
        files.metrics.write_text('[{"name": "cpu", "retention_days": ')
        for _ in range(2):
            devices, metrics = (await files.service.declared_files.preview()).files
            assert (devices.added, devices.changed, devices.in_conflict, devices.error) == (1, 1, 1, None)
            assert [(change.id, change.new, len(change.fields)) for change in devices.changes] == [
                ("a", False, 1),
                ("b", True, 1),
            ]
            assert devices.conflicts[0].msg == "site is y, in the file x"
            assert "truncated" in str(metrics.error)
            assert files.service.registry.numbers == {"a": 0}
        assert await events_of_reload(files) == ["devices.csv read", NOT_TAKEN]
        shown = await files.service.inventory.device("a")
        assert (shown.labels, shown.interval, shown.note) == ({"site": "y"}, "5m", "n")

    run(tmp_path, test)


def test_each_reading_logs_counts_and_which(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        await files.service.inventory.change("a", DeviceChange(labels={"site": "y"}))
        files.devices.write_text("device_id,site,hall\na,x,2\nb,z,\n")
        with capture_logs() as logs:
            await files.service.declared_files.reload()
        assert logs[0] == {
            "event": "devices.csv read",
            "log_level": "warning",
            "added": 1,
            "changed": 1,
            "unchanged": 0,
            "in_conflict": 1,
            "added_ids": ["b"],
            "changed_ids": ["a"],
            "conflicts": ["a: site is y, in the file x"],
        }
        assert (logs[1]["log_level"], logs[1]["unchanged"]) == ("info", 1)

    run(tmp_path, test)


def test_a_merge_that_does_not_fit_what_is_in_effect_is_a_conflict_until_it_fits(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        definitions = files.service.metric_definitions
        await definitions.change("cpu", lambda metric: replace(metric, raw_days=90))
        files.metrics.write_text('[{"name": "cpu", "retention_days": 30, "unit": "%"}]')
        with capture_logs() as logs:
            await files.service.declared_files.reload()
        assert "raw_days of cpu must be 1 to its retention_days (30)" in logs[1]["conflicts"][0]
        assert (definitions.get("cpu").retention_days, definitions.get("cpu").unit) == (365, "")
        await definitions.change("cpu", lambda metric: replace(metric, raw_days=7))
        await files.service.declared_files.reload()
        assert (definitions.get("cpu").retention_days, definitions.get("cpu").unit) == (30, "%")

    run(tmp_path, test)


def test_rules_are_merged_like_everything_that_files_declare(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[[rule]]\nname = "mine"\nkind = "fleet"\ncondition = "down > 10%"\n')

    async def test(files: Files) -> None:
        rules = files.service.alert_rules
        assert (rules.declared["mine"].origin, rules.declared["mine"].rule.condition) == ("file", "down > 10 %")
        await rules.put(msgspec.structs.replace(rules.declared["mine"].rule, owner="me"))
        text = path.read_text() + 'owner = "you"\nlabels = { site = "x" }\n[[rule]]\nname = "device-offline"\n'
        path.write_text(text + 'kind = "device_down"\nfor = "15m"\nenabled = false\n')
        *_, preview = (await files.service.declared_files.preview()).files
        assert (preview.kind, preview.added, preview.changed, preview.in_conflict) == ("alerts", 0, 2, 0)
        changes = {
            change.id: {one.field: (one.before, one.after) for one in change.fields} for change in preview.changes
        }
        assert changes == {
            "rule mine": {"owner": ("me", "you"), "labels": ("", "site:x")},
            "rule device-offline": {"for": ("0s", "15m"), "enabled": ("true", "false")},
        }
        version = rules.version
        assert await events_of_reload(files) == ["devices.csv read", "metrics.json read", "alerts.toml read"]
        assert (rules.declared["mine"].rule.owner, rules.declared["mine"].rule.labels) == ("you", (("site", "x"),))
        assert (rules.version, rules.declared["device-offline"].origin) == (version + 1, "file")
        path.write_text(path.read_text() + "severity = 5\n")
        assert (await events_of_reload(files))[2] == NOT_TAKEN
        assert rules.declared["device-offline"].rule.for_s == 900

    run(tmp_path, test, alerts=str(path))


def test_more_rules_than_the_limit_in_a_file_end_the_start_with_the_setting(tmp_path: Path) -> None:
    async def test(files: Files) -> None:
        raise AssertionError("it must not start")

    path = tmp_path / "alerts.toml"
    path.write_text('[[rule]]\nname = "mine"\nkind = "device_down"\n')
    with pytest.raises(AlertsFileError, match=r"alerts\.toml: .*raise --alert-rules-max"):
        run(tmp_path, test, alerts=str(path), alert_rules_max=1)
