"""Numbers of devices, of which whoever asks sees only some."""

from fleetpulse.pipeline.seen_numbers import SeenNumbers


def test_what_is_not_seen_is_as_if_it_were_not_there() -> None:
    seen = SeenNumbers({"press-07": 7, "press-08": 8}, {7}.__contains__)
    assert (seen.get("press-07"), seen.get("press-08"), seen.get("press-09")) == (7, None, None)
    assert "press-07" in seen
    assert "press-08" not in seen
    assert 7 not in seen
