"""The composition root: which parts settings lead to."""

import asyncio
from dataclasses import fields
from pathlib import Path

import pytest

from fleetpulse.app import build
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.blocks.store import FolderBlockStore
from fleetpulse.data_folder import open_store
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import FakeClock


async def built(settings: Settings) -> Service:
    service = build(settings, clock=FakeClock())
    await service.node.stop()
    return service


def test_a_service_is_built_on_its_folder_and_is_not_started(tmp_path: Path) -> None:
    service = asyncio.run(built(Settings(data=str(tmp_path))))
    assert {path.name for path in tmp_path.iterdir()} >= {"journal.sqlite", "catalog.sqlite", "blocks"}
    assert service.readiness.stage == "opening"
    assert not service.readiness.is_ready


def test_the_policy_of_the_service_and_how_many_changes_it_keeps_come_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), interval_s=31 * 86_400, grace_s=5, gap_factor=1.1, policy_changes_max=7)
    service = asyncio.run(built(settings))
    assert service.follower.fleet.policies.latest == [HeartbeatPolicy(31 * 86_400, 5, 1_100)]
    assert service.catalog.policy_changes_max == 7


def test_every_part_is_there_once(tmp_path: Path) -> None:
    service = asyncio.run(built(Settings(data=str(tmp_path))))
    parts = [getattr(service, field.name) for field in fields(service) if field.name != "auto_define"]
    assert len({id(part) for part in parts}) == len(parts) > 20


def test_requests_handlers_and_questions_share_what_is_known(tmp_path: Path) -> None:
    service = asyncio.run(built(Settings(data=str(tmp_path))))
    assert service.intake.numbers is service.registry.numbers
    assert service.intake.metrics is service.metric_definitions.known
    assert service.follower.fleet is service.fleet
    assert service.door.intake is service.intake


@pytest.mark.parametrize("is_on", [True, False])
def test_unknown_devices_and_metrics_pass_the_front_door_only_where_settings_say_so(
    tmp_path: Path, *, is_on: bool
) -> None:
    settings = Settings(data=str(tmp_path), auto_register=is_on, auto_define=is_on)
    service = asyncio.run(built(settings))
    assert (service.door.register is not None, service.door.defines_unknown) == (is_on, is_on)
    assert service.registry.auto_register is is_on


def test_blocks_are_in_the_data_folder_unless_a_bucket_is_named(tmp_path: Path) -> None:
    assert isinstance(open_store(Settings(data=str(tmp_path))), FolderBlockStore)
    s3 = Settings(data=str(tmp_path), blocks="s3://bucket/prefix", s3_endpoint="http://127.0.0.1:9")
    assert isinstance(open_store(s3), S3BlockStore)
