"""Conditions of rules: what is read is written back as the same, and what cannot be read says why."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.alert_rule import RULE_KINDS, TELEMETRY, AlertRule, RuleKind, check_rule
from fleetpulse.model.metric import AGGREGATIONS
from fleetpulse.notation.condition_text import FORMS, parse_condition


def rule_of(kind: RuleKind, text: str) -> AlertRule:
    return AlertRule(name="r", kind=kind, **parse_condition(kind, text))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("metric", "cpu avg over 10m > 90", {"metric": "cpu", "aggregation": "avg", "window_s": 600, "threshold": 90}),
        ("metric", "over p99 over 1h>=-2.5e-3 until<-7", {"metric": "over", "comparison": ">=", "threshold": -0.0025}),
        ("uptime_below", "settled uptime over 30d < 99.9", {"window_s": 2_592_000, "threshold": 0.999}),
        ("uptime_below", "availability over 7d < 0.5 %", {"measure": "availability", "threshold": 0.005}),
        ("fleet", "down > 20 %", {"is_share": True, "threshold": 0.2, "by": ""}),
        (
            "fleet",
            "down by site >= 3 until < 2",
            {"by": "site", "threshold": 3, "clear_threshold": 2, "is_share": False},
        ),
        ("absent", "no cpu over 900s", {"metric": "cpu", "window_s": 900}),
        ("drift", "drift > 0.5s until < 0.1s", {"threshold": 0.5, "comparison": ">"}),
        ("service", "error_ratio over 5m > 1%", {"telemetry": "error_ratio", "window_s": 300, "threshold": 0.01}),
        ("service", "checkpoint_age > 1h30m", {"telemetry": "checkpoint_age", "threshold": 5_400, "window_s": 0}),
        ("device_down", " ", {}),
    ],
)
def test_a_condition_becomes_the_fields_of_a_rule(kind: RuleKind, text: str, expected: dict[str, object]) -> None:
    rule = rule_of(kind, text)
    check_rule(rule)
    if "until" in text and kind == "metric":
        expected = expected | {"clear_threshold": -7.0}
    assert {name: getattr(rule, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        ("metric", "cpu   avg over 600s >90.0 until <85", "cpu avg over 10m > 90 until < 85"),
        ("uptime_below", "observed uptime over 24h < 99", "observed uptime over 1d < 99 %"),
        ("fleet", "down >20%", "down > 20 %"),
        ("drift", "drift >= 60s", "drift >= 1m"),
        ("service", "disk_free<10% until >12.50%", "disk_free < 10 % until > 12.5 %"),
        ("device_down", "  ", ""),
    ],
)
def test_the_canonical_form_is_one(kind: RuleKind, text: str, canonical: str) -> None:
    assert rule_of(kind, text).condition == canonical


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_the_example_of_each_kind_is_in_canonical_form(kind: RuleKind) -> None:
    rule = rule_of(kind, FORMS[kind])
    check_rule(rule)
    assert rule.condition == FORMS[kind]


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        ("metric", "", "the name of a metric .*, which is missing at the end"),
        ("metric", "cpu mean over 10m > 90", "`avg` or `sum` or .*, not `mean`"),
        ("metric", "cpu avg > 90", "expected `over`, not `>`"),
        ("metric", "cpu avg over 10 > 90", "a duration such as 10m, not `10`"),
        ("metric", "cpu avg over 10m == 90", "expected one of > >= < <=, not `==`"),
        ("metric", "cpu avg over 10m > 90 %", "expected nothing more, not `%`"),
        ("metric", "cpu avg over 10m > 90 until > 95", "expected one of <, not `>`"),
        ("metric", "cpu avg over 10m > 1e999", "a number, not `1e999`"),
        ("metric", "cpu avg over 10m > nan", "a number, not `nan`"),
        ("uptime_below", "settled uptime over 30d < 0.999", "might be a ratio or a percentage"),
        ("uptime_below", "settled uptime over 30d > 99 %", "expected one of < <=, not `>`"),
        ("fleet", "down > 120 %", "a percentage of 0 % to 100 %, not `120`"),
        ("fleet", "down > 1.5", "a whole number of devices"),
        ("service", "cpu > 5", "`error_ratio` or .*, not `cpu`"),
        ("device_down", "down", "expected nothing more, not `down`.*is empty: `for` says"),
        ("metric", "x" * 301, "at most 300 characters"),
    ],
)
def test_an_error_names_the_word_what_is_expected_and_an_example(kind: RuleKind, text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what) as raised:
        parse_condition(kind, text)
    assert str(raised.value).startswith("condition: ")
    assert len(str(raised.value)) < 600
    assert FORMS[kind] in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        ("metric", "cpu avg over 10m > 90 until < 95", "behind `until` must be below the first one"),
        ("metric", "cpu avg over 10m < 5 until > 4", "behind `until` must be above the first one"),
        ("metric", "cpu avg over 0s > 5", "window must be 1s to"),
        ("uptime_below", "settled uptime over 5s < 99 %", "window must be 60s to"),
        ("service", "error_ratio > 1 %", "window must be 10s to 3600s, not 0s"),
        ("service", "disk_free over 5m < 10 %", "disk_free is not over a window"),
    ],
)
def test_what_no_word_tells_is_checked_of_the_rule(kind: RuleKind, text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check_rule(rule_of(kind, text))


NAMES = st.from_regex(re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,9}", re.ASCII), fullmatch=True)
LENGTHS = st.integers(60, 3_600).map(lambda seconds: f"{seconds}s")
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
PERCENT = st.decimals(0, 100, places=4).map(lambda number: f"{number:f} %")
SECONDS = st.decimals(0, 10**6, places=9).map(lambda number: f"{number:f}s") | LENGTHS
ABOVE, ANY = st.sampled_from([">", ">="]), st.sampled_from([">", ">=", "<", "<="])


def conditions() -> st.SearchStrategy[tuple[RuleKind, str]]:
    metric = st.builds("{} {} over {} {} {}".format, NAMES, st.sampled_from(AGGREGATIONS), LENGTHS, ANY, FLOATS)
    uptime = st.builds("observed uptime over {} <= {}".format, LENGTHS, PERCENT)
    fleet = st.builds("down by {} {} {}".format, NAMES, ABOVE, PERCENT | st.integers(0, 10**6))
    drift = st.builds("drift {} {}".format, ABOVE, SECONDS)
    figures = [name for name in TELEMETRY if TELEMETRY[name] == "seconds"]
    service = st.builds("{} {} {}".format, st.sampled_from(figures), ANY, SECONDS)
    return st.one_of(
        st.tuples(st.just(kind), texts)
        for kind, texts in (
            ("metric", metric),
            ("uptime_below", uptime),
            ("fleet", fleet),
            ("drift", drift),
            ("service", service),
            ("absent", st.builds("no {} over {}".format, NAMES, LENGTHS)),
        )
    )


@given(conditions(), st.booleans())
def test_any_rule_is_written_and_read_as_the_same(condition: tuple[RuleKind, str], has_until: bool) -> None:
    kind, text = condition
    if has_until and kind != "absent":
        number = text.split(" ", 1)[1].split("<" if "<" in text else ">")[-1].lstrip("=").strip()
        text += f" until {'>' if '<' in text else '<'} {number}"
    rule = rule_of(kind, text)
    check_rule(rule)
    assert rule_of(kind, rule.condition) == rule
    assert msgspec.json.decode(msgspec.json.encode(rule), type=AlertRule) == rule


WORDS = st.sampled_from(
    [*"<>=% ", "over", "until", "down", "by", "no", "uptime", "settled", "cpu", "avg", "10m", "5", "%"]
)


@given(st.sampled_from(RULE_KINDS), st.text(max_size=40) | st.lists(WORDS, max_size=9).map(" ".join))
def test_any_text_is_a_condition_or_a_clear_error(kind: RuleKind, text: str) -> None:
    outcome = canonical_or_error(kind, text)
    assert outcome.startswith("condition: ") or canonical_or_error(kind, outcome) == outcome


def canonical_or_error(kind: RuleKind, text: str) -> str:
    try:
        rule = rule_of(kind, text)
        check_rule(rule)
    except ValueError as error:
        return str(error)
    return rule.condition
