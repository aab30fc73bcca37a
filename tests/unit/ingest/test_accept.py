"""What a client accepts, by the rules of RFC 9110."""

import pytest

from fleetpulse.ingest.accept import (
    PROBLEM,
    accepts,
    choose_coding,
    matches_tag,
    prefers_html,
    problem_media,
    qualities,
    refuses_identity,
)

JSON = "application/json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def test_a_quality_that_cannot_be_read_counts_as_none() -> None:
    found = qualities("gzip ; Q=0.5, br;q=2, zstd;q=x, , *;q=0.001, gzip;q=1, deflate;q=")
    assert found == {"gzip": 0.5, "br": 0.0, "zstd": 0.0, "*": 0.001, "deflate": 0.0}


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, *", "zstd"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*;q=0, identity", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("identity", "identity"),
        ("identity;q=0", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=1", "gzip"),
        ("br", "identity"),
        ("br, identity;q=0", None),
        ("gzip;q=1.5", "identity"),
        ("gzip;q=0.0001", "identity"),
        (";;,=,q", "identity"),
    ],
)
def test_the_coding_is_the_one_that_the_client_likes_best(header: str, coding: str | None) -> None:
    assert choose_coding(header) == coding


@pytest.mark.parametrize(
    ("header", "is_refused"),
    [("", False), ("gzip", False), ("identity;q=0, gzip", True), ("*;q=0", True), ("*;q=0, identity;q=0.1", False)],
)
def test_an_answer_as_it_is_is_refused_only_by_name_or_by_everything(header: str, is_refused: bool) -> None:
    assert refuses_identity(header) is is_refused


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (PROBLEM, PROBLEM),
        (f"{JSON}, {PROBLEM}", PROBLEM),
        (f"{PROBLEM};q=0", JSON),
        (f"{JSON}, {PROBLEM};q=0.9", JSON),
        (f"{JSON};q=0.5, Application/Problem+JSON", PROBLEM),
        ("application/problem+xml", JSON),
    ],
)
def test_a_problem_has_its_own_type_only_where_the_client_names_it(accept: str, media: str) -> None:
    assert problem_media(accept) == media


@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        ("", False),
        ("*/*", False),
        ("text/*", False),
        (JSON, False),
        (BROWSER, True),
        ("text/html;q=0", False),
        (f"text/html;q=0.5, {JSON}", False),
        (f"text/html, {JSON}", True),
    ],
)
def test_only_who_names_html_gets_it(accept: str, is_html: bool) -> None:
    assert prefers_html(accept) is is_html


@pytest.mark.parametrize(
    ("accept", "is_accepted"),
    [
        ("", True),
        ("*/*", True),
        ("text/*", True),
        ("text/event-stream", True),
        ("text/event-stream; q=0.1, application/json", True),
        ("text/html, */*;q=0.8", True),
        ("application/json", False),
        ("text/event-stream;q=0, */*", False),
        ("text/*;q=0, */*", False),
        ("*/*;q=0", False),
    ],
)
def test_the_most_exact_word_about_a_media_type_counts(accept: str, is_accepted: bool) -> None:
    assert accepts(accept, "text/event-stream") is is_accepted


@pytest.mark.parametrize(
    ("if_none_match", "is_known"),
    [
        ("", False),
        ("*", True),
        (' W/"a" ', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ('W/"b"', False),
        ("a", False),
        ('"b,a"', False),
        ('"*"', False),
    ],
)
def test_entity_tags_are_compared_weakly(if_none_match: str, is_known: bool) -> None:
    assert matches_tag(if_none_match, 'W/"a"') is is_known
