"""Where the server may listen."""

import pytest
from structlog.testing import capture_logs

from fleetpulse.errors import SettingsError
from fleetpulse.server import is_loopback, share_files


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.7", False),
        ("fleet.example", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    ("limit", "reserved", "wanted", "connections", "waiting"),
    [
        (1 << 20, 256, 16_384, 16_384, 4_096),
        (20_000, 256, 16_384, 16_384, 3_360),
        (17_664, 256, 16_384, 16_384, 1_024),
        (17_663, 256, 16_384, 13_311, 4_096),
        (4_096, 256, 16_384, 2_880, 960),
        (1_024, 256, 16_384, 576, 192),
        (1_024, 256, 100, 100, 192),
        (300, 256, 16_384, 33, 11),
        (1_024, 256, 3, 3, 192),
    ],
)
def test_files_are_left_for_journal_and_blocks_whatever_connects(
    limit: int, reserved: int, wanted: int, connections: int, waiting: int
) -> None:
    assert share_files(limit, files_reserved=reserved, connections_max=wanted) == (connections, waiting)
    assert connections + waiting + reserved <= limit


def test_a_start_warns_only_where_there_are_fewer_connections_than_are_wanted() -> None:
    with capture_logs() as logs:
        share_files(20_000, files_reserved=256, connections_max=16_384)
        assert not logs
        share_files(17_000, files_reserved=256, connections_max=16_384)
    assert [(line["log_level"], line["connections_max"]) for line in logs] == [("warning", 16_384)]


@pytest.mark.parametrize("limit", [3, 256, 260, 270])
def test_too_few_files_for_connections_end_the_start(limit: int) -> None:
    with pytest.raises(SettingsError, match=f"only {limit} files.*LimitNOFILE"):
        share_files(limit, files_reserved=256, connections_max=16_384)
