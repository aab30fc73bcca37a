"""What somebody with the scope site:paris sees of maintenance windows, and which of them are theirs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.access_errors import Forbidden
from fleetpulse.errors import UnknownDevice
from fleetpulse.model.access import Principal
from fleetpulse.model.device import Device
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.seen_windows import check_own, seen_window, window_within
from memory_service import World

DEVICES = [Device("p1", {"site": "paris", "line": "3"}), Device("r1", {"site": "rome", "line": "3", "hall": "9"})]


def window(**whose: Any) -> MaintenanceWindow:
    return MaintenanceWindow(
        **{"id": "w", "title": "", "labels": {}, "devices": (), "start_ns": 0, "end_ns": 1, **whose}
    )


async def registry_seen_from_paris(folder: Path) -> Registry:
    service = await World(folder).started()
    await service.registry.register_many(DEVICES)
    await service.node.stop()
    asker = Asker()
    asker.principal = Principal(kind="key", name="key 1", role="operate", scope=(("site", "paris"),))
    set_asker(asker)
    return service.registry


@pytest.mark.parametrize(
    ("whose", "seen", "is_own"),
    [
        ({"is_for_all": True}, {"is_for_all": True}, False),
        ({"labels": {"site": "paris"}}, {"labels": {"site": "paris"}}, True),
        ({"labels": {"site": "rome"}}, None, False),
        ({"labels": {"line": "3"}}, {"labels": {"line": "3"}}, False),
        ({"labels": {"hall": "9"}}, None, False),
        ({"devices": ("p1",)}, {"devices": ("p1",)}, True),
        ({"devices": ("r1", "p1", "none")}, {"devices": ("p1",)}, False),
        ({"devices": ("r1",)}, None, False),
        ({"devices": ("p1",), "labels": {"hall": "9"}}, {"devices": ("p1",)}, False),
        (
            {"devices": ("r1",), "labels": {"site": "paris", "line": "3"}},
            {"labels": {"site": "paris", "line": "3"}},
            False,
        ),
    ],
)
def test_what_is_seen_of_a_window_and_whether_it_is_of_the_scope_alone(
    whose: dict[str, Any], seen: dict[str, Any] | None, is_own: bool, tmp_path: Path
) -> None:
    async def test() -> None:
        registry = await registry_seen_from_paris(tmp_path)
        assert seen_window(window(**whose), registry) == (None if seen is None else window(**seen))
        if is_own:
            check_own(window(**whose), registry)
        else:
            with pytest.raises(Forbidden):
                check_own(window(**whose), registry)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("whose", "made"),
    [
        ({"is_for_all": True}, {"labels": {"site": "paris"}}),
        ({"labels": {"line": "3"}}, {"labels": {"line": "3", "site": "paris"}}),
        ({"labels": {"site": "rome"}}, Forbidden),
        ({"devices": ("p1",)}, {"devices": ("p1",)}),
        ({"devices": ("p1", "r1")}, UnknownDevice),
        ({"devices": ("none",)}, UnknownDevice),
    ],
)
def test_a_new_window_is_for_devices_of_the_scope_alone(
    whose: dict[str, Any], made: dict[str, Any] | type[Exception], tmp_path: Path
) -> None:
    async def test() -> None:
        registry = await registry_seen_from_paris(tmp_path)
        if isinstance(made, dict):
            assert window_within(window(**whose), registry) == window(**made)
        else:
            with pytest.raises(made):
                window_within(window(**whose), registry)

    asyncio.run(test())
