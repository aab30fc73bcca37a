"""Which devices were running while nothing was received from them."""

from alert_rounds import look, three_devices
from one_fleet import OneFleet


def heard_again(*late: str, device: int = 0) -> OneFleet:
    """A device that was last heard at 10:00, is heard again at 10:20, and sends beats of these times afterwards."""
    one = three_devices()
    one.hear("10:00:00", device=device)
    one.hear("10:20:00", device=device)
    for sent_at in late:
        one.hear("10:20:10", device=device, sent_at=sent_at)
    return one


def minutes(first: int, last: int) -> list[str]:
    return [f"10:{minute:02}:00" for minute in range(first, last)]


def test_a_device_whose_late_beats_cover_the_silence_was_running() -> None:
    assert look(heard_again(*minutes(1, 20)), "10:20:20", d0="10:05:00").ran.tolist() == [0]
    assert look(heard_again(*minutes(1, 20)[::4]), "10:20:20", d0="10:05:00").ran.tolist() == [0]


def test_a_device_that_only_came_back_or_sends_too_little_was_not_running() -> None:
    for late in ((), minutes(1, 10), minutes(10, 20), minutes(1, 7) + minutes(14, 20)):
        assert look(heard_again(*late), "10:20:20", d0="10:05:00").ran.tolist() == []
    assert look(heard_again(*minutes(1, 20)), "10:20:20").ran.tolist() == [], "without an alert nobody asks"


def test_a_device_that_is_still_silent_is_not_said_to_have_run() -> None:
    one = heard_again(*minutes(1, 20))
    assert look(one, "11:00:00", d0="10:25:10").ran.tolist() == []


def test_beats_of_a_closed_day_show_it_too() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.day = "2026-05-13"
    one.mark("10:00:00")
    one.checkpoint()
    one.hear("10:00:00", device=0)
    silence = [one.at("2026-05-11T10:01:00") + place * 60_000_000_000 for place in range(2 * 1440 - 1)]
    for sent_at_ns in silence:
        one.beat_at(sent_at_ns, 0)
    assert look(one, "10:00:01", d0="2026-05-11T10:05:00").ran.tolist() == [0]
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.hear("2026-05-13T10:00:00", device=0)
    assert look(one, "2026-05-13T10:00:01", d0="2026-05-11T10:05:00").ran.tolist() == []


def test_a_silence_of_long_ago_is_not_judged() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.hear("2026-05-25T10:00:00", device=0)
    assert look(one, "2026-05-25T10:00:01", d0="10:05:00").ran.tolist() == []


def test_many_devices_are_read_together() -> None:
    one = OneFleet(devices=300)
    for device in range(300):
        one.hear("10:00:00", device=device)
    for device in range(300):
        one.hear("10:10:00", device=device)
        if device % 3:
            one.hear("10:10:00", device=device, sent_at="10:05:00")
    alerts = {f"d{device}": "10:05:00" for device in range(300)}
    ran = look(one, "10:10:30", **alerts).ran.tolist()
    assert ran == [device for device in range(300) if device % 3]
