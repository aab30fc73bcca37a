"""Query parameters: read strictly, refused in words that help."""

from types import SimpleNamespace
from typing import Any

import pytest

from fleetpulse.api.parameters import (
    Paging,
    QueryNames,
    read_all,
    read_dry_run,
    read_explain,
    read_filter,
    read_labels,
    read_paging,
)
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.query.devices import Filter, Order

S = 1_000_000_000
NOW = 1_780_000_000 * S
CLOCK = SimpleNamespace(now_ns=lambda: NOW)
LIMITS = QuestionLimits()


def chosen(**given: str) -> Filter:
    return read_filter(clock=CLOCK, limits=LIMITS, labels=(), **given)


def test_a_name_is_known_and_given_once_but_for_those_that_may_be_repeated() -> None:
    names = QueryNames(single=["window", "step"], repeated=["label"])
    names.check([("window", "1h"), ("label", "a:b"), ("label", "c:d")])
    with pytest.raises(Malformed, match="did you mean window"):
        names.check([("windw", "1h")])
    with pytest.raises(Malformed, match="known are window, step, label"):
        names.check([("zzz", "1")])
    with pytest.raises(Malformed, match="twice"):
        names.check([("step", "1m"), ("step", "2m")])
    with pytest.raises(Malformed, match="there are none here"):
        QueryNames([], []).check([("window", "1h")])


def test_labels_are_pairs_and_a_value_may_have_a_colon() -> None:
    assert read_labels(["site:paris", "line:a:b"]) == (("site", "paris"), ("line", "a:b"))
    assert read_labels() == ()


@pytest.mark.parametrize("text", ["site", ":paris", "site:", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="name:value"):
        read_labels([text])


def test_a_flag_is_true_where_its_name_stands_alone() -> None:
    assert [read_explain(text) for text in ("", "true", "1", "TRUE", "false", "0")] == [True] * 4 + [False] * 2
    assert (read_dry_run(), read_all()) == (False, False)
    with pytest.raises(Malformed, match="`all` must be true or false"):
        read_all("yes")


def test_a_filter_is_empty_where_nothing_is_given() -> None:
    assert chosen().is_empty
    assert chosen(uptime_window="2h").uptime_window_ns == 7_200 * S


def test_a_filter_takes_what_is_given() -> None:
    read = chosen(status=["down,late"], text="x", seen_after="2026-05-28T00:00:00Z", uptime_below="99.5")
    assert (read.statuses, read.text, read.uptime_below) == ({"down", "late"}, "x", 99.5)
    assert read.seen_after_ns == 1_779_926_400 * S
    assert chosen(seen_before="2026-05-28").seen_before_ns == 1_779_926_400 * S
    assert not read.is_empty


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"status": "gone"}, OutOfRange),
        ({"seen_before": "yesterday"}, Malformed),
        ({"seen_before": "2026-02-30"}, OutOfRange),
        ({"uptime_below": "much"}, Malformed),
        ({"uptime_below": "101"}, OutOfRange),
        ({"uptime_below": "nan"}, OutOfRange),
        ({"uptime_window": "long"}, Malformed),
        ({"uptime_window": "0s"}, OutOfRange),
        ({"uptime_window": "9999d"}, OutOfRange),
    ],
)
def test_a_filter_that_cannot_be_is_refused(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        chosen(**given)


def test_a_page_has_an_order_and_a_limit() -> None:
    assert read_paging() == Paging(Order("id", is_descending=False), 100, None)
    assert read_paging("-last_seen", "1000", "abc") == Paging(Order("last_seen", is_descending=True), 1_000, "abc")


@pytest.mark.parametrize("given", [{"sort": "size"}, *({"limit": text} for text in ("0", "1001", "-1", "x", "²", ""))])
def test_a_page_that_cannot_be_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(OutOfRange):
        read_paging(**given)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"label=site:%ff", "`%FF` in the query is not UTF-8"),
        (b"label=site:\xff", "`%FF` in the query is not UTF-8"),
        (b"text=caf%C3", "`%C3` in the query is not UTF-8"),
        (b"text=%ED%A0%80", "`%ED%A0%80` in the query is half of a surrogate pair"),
    ],
)
def test_a_query_that_is_no_text_is_called_so(query: bytes, text: str) -> None:
    with pytest.raises(Malformed, match=text):
        QueryNames.check_text(query)
    QueryNames.check_text(b"text=caf%C3%A9&label=site:%ED%9F%BF+x%F0%9F%98%80")


@pytest.mark.parametrize(("limit", "count"), [("5", 5), ("5.0", 5), ("1e2", 100), ("1000", 1000), ("1E+1", 10)])
def test_a_limit_may_be_written_as_libraries_write_numbers(limit: str, count: int) -> None:
    assert read_paging(limit=limit).limit == count


@pytest.mark.parametrize("limit", ["0", "-1", "5.5", "1001", "1e3.", "1e400", "nan", "", "1_0", "\u0665", "9" * 500])
def test_what_is_no_limit_is_refused(limit: str) -> None:
    with pytest.raises(OutOfRange, match="limit must be 1 to 1000"):
        read_paging(limit=limit)
