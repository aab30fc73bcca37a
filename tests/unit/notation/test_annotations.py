import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.annotations import check_annotation, render_annotation

FACTS = {"device": "press-07", "value": "91 %", "label.site": "<paris>"}


def test_facts_stand_in_braces_and_braces_are_written_twice() -> None:
    text = "CPU of {device} at {label.site}{label.hall} is {{{value}}}"
    check_annotation(text)
    assert render_annotation(text, FACTS) == "CPU of press-07 at <paris> is {91 %}"
    escaped = render_annotation("<b>{label.site}", FACTS, escape=lambda piece: piece.replace("<", "&lt;"))
    assert escaped == "&lt;b>&lt;paris>"


@pytest.mark.parametrize(
    "text",
    [
        "{0.__class__}",
        "{device.__class__}",
        "{device!r}",
        "{device:>99999999}",
        "{}",
        "{0}",
        "{label.}",
        "{label.a b}",
        "{labels}",
        "{ device }",
        "{device[0]}",
    ],
)
def test_what_is_no_fact_is_refused_with_the_list_of_those_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"^annotation summary: .* is unknown; known are .*\{device\}.*label.NAME"):
        check_annotation(text, field="annotation summary")


@pytest.mark.parametrize("text", ["{device", "device}", "a { b", "{{{device}}", "{a{device}}"])
def test_a_lonely_brace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"annotation: a `.` is alone near .*written twice"):
        check_annotation(text)


@given(st.text(alphabet="{}ab. device", max_size=30) | st.text(max_size=30), st.text(max_size=9))
def test_any_text_is_rendered_or_refused(text: str, value: str) -> None:
    try:
        check_annotation(text)
    except ValueError:
        return
    rendered = render_annotation(text, {"device": value})
    if "{" not in text and "}" not in text:
        assert rendered == text
