from fleetpulse.alert.annotations import facts_of, render, value_text
from fleetpulse.model.message import MessageAlert
from fleetpulse.notation.annotations import FACTS

ALERT = MessageAlert(
    number=7,
    rule="cpu-high",
    severity="warning",
    subject="press-07",
    state="firing",
    since_ns=0,
    fired_at_ns=60_000_000_000,
    value=91.25,
    unit="%",
    labels={"site": "paris"},
)


def test_every_fact_has_a_value() -> None:
    assert set(facts_of(ALERT, at_ns=0)) == {*FACTS, "label.site"}


def test_an_annotation_is_filled_with_the_facts_of_its_alert() -> None:
    text = "{device} ({label.site}): {value} since {since}, for {duration}; last heard {last_seen}"
    assert render(text, ALERT, at_ns=90_000_000_000) == (
        "press-07 (paris): 91.25 % since 1970-01-01T00:00:00Z, for 1 m 30 s; last heard never"
    )


def test_a_figure_has_its_unit_and_no_figure_is_empty() -> None:
    figures = {(0.1 + 0.2, "s"): "0.3 s", (3.0, ""): "3", (None, "s"): "", (float("nan"), "s"): ""}
    figures |= {
        (7_300.4, "s"): "2 h 1 m",
        (12_345_678.0, "B"): "12345678 B",
        (1e20, ""): "1e+20",
        (-90.0, "%"): "-90 %",
    }
    assert {figure: value_text(*figure) for figure in figures} == figures
