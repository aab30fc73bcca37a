"""Which devices a rule about uptime finds: those of which the answer about uptime gives less."""

from alert_rounds import look, three_devices
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.uptime import Measure
from one_fleet import OneFleet


def below(threshold: float, measure: Measure = "settled", until: float | None = None) -> AlertRule:
    return AlertRule(
        name="promise",
        kind="uptime_below",
        window_s=3_600,
        comparison="<",
        threshold=threshold,
        clear_threshold=until,
        measure=measure,
    )


def fleet() -> OneFleet:
    """d0 is up for an hour, d1 is silent for half an hour of it, d2 is not heard."""
    one = three_devices()
    for minute in range(60):
        one.hear(f"10:{minute:02}:00", device=0)
        if minute < 10 or minute > 40:
            one.hear(f"10:{minute:02}:30", device=1)
    return one


def test_it_finds_whom_the_answer_gives_less() -> None:
    one = fleet()
    for measure in ("settled", "observed", "availability"):
        answer = one.uptime("10:00:00", "11:00:00", device=1)
        share = {
            "settled": answer["uptime"],
            "observed": answer["observed"]["uptime"],
            "availability": answer["availability"],
        }[measure] / 100
        for threshold, expected in ((share + 0.001, [1]), (share - 0.001, [])):
            condition = look(one, "11:00:00", below(threshold, measure))  # type: ignore[arg-type]  # of the tuple
            assert condition.subjects.tolist() == expected
            assert all(abs(value - share) < 0.000_1 for value in condition.values.tolist())


def test_once_below_it_goes_on_until_it_is_well_above() -> None:
    one = fleet()
    rule = below(0.4, until=0.9)
    assert look(one, "11:00:00", rule).subjects.tolist() == []
    assert look(one, "11:00:00", rule, d1="10:30:00").subjects.tolist() == [1]


def test_pauses_are_withheld_and_deleted_devices_are_absent() -> None:
    one = fleet()
    one.pause("10:59:00", device=1)
    condition = look(one, "11:00:00", below(0.9))
    assert (condition.subjects.tolist(), condition.withheld.tolist()) == ([], [1])
    one = fleet()
    one.delete("d1")
    condition = look(one, "11:00:00", below(0.9), d1="10:30:00")
    assert (condition.subjects.tolist(), condition.absent.tolist()) == ([], [1])


def test_nothing_is_said_while_a_block_cannot_be_read() -> None:
    one = fleet()
    one.day = "2026-05-12"
    one.hear("10:00:00", device=0)
    one.checkpoint()
    for files in one.history.manifest.beat_gaps.values():
        for file in files:
            one.lose(file)
    rule = AlertRule(name="promise", kind="uptime_below", window_s=2 * 86_400, comparison="<", threshold=0.9)
    condition = look(one, "10:00:01", rule, d1="09:00:00", d9="09:00:00")
    assert (condition.subjects.tolist(), condition.withheld.tolist(), condition.absent.tolist()) == ([], [1], [9])
