"""Which streams may be a journal."""

from typing import Any

import pytest

from fleetpulse.journal.nats_stream import differences, first_position, identity_of, wanted

OURS = wanted("fleetpulse", 3)


def test_a_stream_that_was_made_as_it_must_be_differs_in_nothing_also_with_what_the_server_adds() -> None:
    assert differences(OURS, OURS) == []
    added = {"duplicate_window": 120, "mirror_direct": False, "consumer_limits": {}, "num_replicas": 5}
    assert differences({**OURS, **added, "metadata": {"fleetpulse": "journal", "_nats.ver": "2.15.1"}}, OURS) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"metadata": {}}, "it was not made by fleetpulse"),
        ({"persist_mode": "async"}, "persist_mode is async"),
        ({"max_age": 10}, "max_age is 10, not 0"),
        ({"max_bytes": 10}, "max_bytes is 10, not -1"),
        ({"discard": "old"}, "discard is old, not new"),
        ({"storage": "memory"}, "storage is memory, not file"),
        ({"retention": "interest"}, "retention is interest"),
        ({"subjects": ["other.>"]}, "subjects is"),
        ({"deny_delete": False}, "deny_delete is False"),
        ({"allow_msg_ttl": True}, "allow_msg_ttl is set"),
        ({"sealed": True}, "sealed is set"),
        ({"num_replicas": 1}, "it is on 1 servers, and journal_replicas says 3"),
    ],
)
def test_a_stream_that_may_lose_entries_is_refused(change: dict[str, Any], text: str) -> None:
    assert any(text in found for found in differences({**OURS, **change}, OURS))


def test_the_first_position_is_that_of_the_oldest_entry_or_of_the_next_one() -> None:
    assert first_position({"first_seq": 0, "last_seq": 0, "messages": 0}) == 1
    assert first_position({"first_seq": 3, "last_seq": 5, "messages": 3}) == 3
    assert first_position({"first_seq": 6, "last_seq": 5, "messages": 0}) == 6


def test_the_identity_stands_in_the_metadata() -> None:
    assert identity_of({"config": OURS}) is None
    assert identity_of({"config": {**OURS, "metadata": {"fleetpulse_identity": "this"}}}) == "this"
