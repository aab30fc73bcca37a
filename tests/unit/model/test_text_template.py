"""Templates: what they make, and what is refused when they are declared."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.text_template import Names, RenderedTooLong, parse_template

NAMES = Names({"what", "cause"}, {"group"}, {"alerts": Names({"device"}, {"label"})})
ALERTS = {"alerts": [{"device": "pump-1", "label.site": "paris"}, {"device": "pump-2"}]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("{what}!", "down!"),
        ("{{{what}}}", "{down}"),
        ("{ what }", "down"),
        ("{group.site}/{group.other}", "paris/"),
        ("{?cause}because of {cause}{/cause}.", "."),
        ("{?what}it is {what}{/what}.", "it is down."),
        ("{#alerts}{device}@{label.site} {what};{/alerts}", "pump-1@paris down;pump-2@ down;"),
        ("{?what}{#alerts}{?label.site}{device}{/label.site}{/alerts}{/what}", "pump-1"),
    ],
)
def test_a_template_makes_a_text(template: str, text: str) -> None:
    fields = {"what": "down", "cause": "", "group.site": "paris"}
    assert parse_template(template, NAMES).render(fields, ALERTS) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{", r"single `\{`"),
        ("a\n}", r"line 2, column 1"),
        ("{device}", r"`\{device\}` is not known; known are: cause, what, group.NAME"),
        ("{what.__class__}", "is not known"),
        ("{0}", "is not known"),
        ("{what!r}", "is not known"),
        ("{what:>99999999}", "is not known"),
        ("{label.site}", "is not known"),
        ("{group.a b}", "is not known"),
        ("{#devices}{/devices}", "is no list; known are: alerts"),
        ("{#alerts}{#alerts}{/alerts}{/alerts}", "is no list; known are: there is none here"),
        ("{#alerts}", r"\{/alerts\} is missing"),
        ("{/alerts}", "no such end"),
        ("{#alerts}{/what}", r"where \{/alerts\} is expected"),
        ("{?what}" * 9, "deep"),
        ("{what}" * 1_001, "at most 1000"),
    ],
)
def test_a_wrong_template_is_refused_with_the_place_and_what_is_known(template: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_template(template, NAMES)


def test_a_text_is_bounded() -> None:
    with pytest.raises(RenderedTooLong):
        parse_template("{#alerts}{what}{/alerts}", NAMES).render({"what": "a" * 20_000}, ALERTS)


@given(st.text(alphabet="{}#?/ab.wht", max_size=60))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_template(text, NAMES).render({"what": "{what}"}, ALERTS), str)


def test_values_are_not_templates() -> None:
    assert parse_template("{what}", NAMES).render({"what": "{cause}"}) == "{cause}"
