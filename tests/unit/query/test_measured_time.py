"""Time by each measure, with the seconds written out; each device alone has the same as in the fleet."""

from fleetpulse.model.uptime import MEASURES
from fleetpulse.query.fleet_columns import fleet_columns
from one_fleet import SECOND, OneFleet


def time_s(one: OneFleet, start: str, end: str) -> dict[str, list[tuple[int, int]]]:
    """(down, accountable) of every device in seconds, by measure."""
    span = {"start_ns": one.at(start), "end_ns": one.at(end)}
    whole = fleet_columns(one.fleet_view(span["start_ns"]), **span)
    found = {
        measure: [
            (down_ns // SECOND, accountable_ns // SECOND)
            for down_ns, accountable_ns in zip(time.down_ns.tolist(), time.accountable_ns.tolist(), strict=True)
        ]
        for measure, time in whole.time.items()
    }
    for device in range(one.roster.count):
        alone = fleet_columns(one.view(span["start_ns"], device), **span)
        for measure, time in alone.time.items():
            assert (time.down_ns[0] // SECOND, time.accountable_ns[0] // SECOND) == found[measure][device]
    return found


def test_a_device_is_down_from_its_deadline_to_its_next_beat() -> None:
    one = OneFleet(devices=3)
    one.hear("10:00:00", "10:20:00", device=0)
    one.hear("10:30:00", device=1)
    one.move("11:00:00")
    found = time_s(one, "10:00:00", "11:00:00")
    assert found["availability"] == [(15 * 60 + 35 * 60, 3_600), (25 * 60, 1_800), (0, 0)]
    # An interval after the beat, where the gap is longer than one and a half.
    assert found["settled"] == found["observed"] == [(19 * 60 + 39 * 60, 3_600), (29 * 60, 1_800), (0, 0)]
    assert time_s(one, "10:10:00", "10:22:00")["availability"] == [(600, 720), (0, 0), (0, 0)]
    assert time_s(one, "10:10:00", "10:22:00")["settled"] == [(660, 720), (0, 0), (0, 0)]


def test_excluded_time_extends_the_deadline_and_excuses_nothing_else() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", device=0)
    one.hear("10:00:00", device=1)
    one.maintain("10:02:00", "10:12:00")
    one.pause("10:20:00", device=1)
    one.move("11:00:00")
    found = time_s(one, "10:00:00", "11:00:00")
    assert found["availability"] == [(45 * 60, 50 * 60), (5 * 60, 10 * 60)]
    assert found["settled"] == [(49 * 60, 50 * 60), (9 * 60, 10 * 60)]


def test_a_gap_that_is_no_longer_than_a_missed_beat_is_none() -> None:
    one = OneFleet(devices=2)
    for device, at in (
        (0, "10:00:00"),
        (1, "10:00:00"),
        (0, "10:01:30"),
        (1, "10:01:31"),
        (0, "10:03:00"),
        (1, "10:03:00"),
    ):
        one.hear(at, device=device)
    one.move("10:04:00")
    found = time_s(one, "10:00:00", "10:04:00")
    assert found["settled"] == found["observed"] == [(0, 240), (31, 240)]
    assert found["availability"] == [(0, 240), (0, 240)]


def test_gaps_in_blocks_and_in_memory_are_one_history() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", device=1)
    one.hear("10:00:00", "10:30:00", device=0)
    one.move("11:00:00")
    before = time_s(one, "10:00:00", "11:00:00")
    one.checkpoint()
    assert time_s(one, "10:00:00", "11:00:00") == before
    assert set(before) == set(MEASURES)
