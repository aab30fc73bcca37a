"""Badges as SVG."""

import xml.etree.ElementTree as ET
from typing import get_args

import pytest

from fleetpulse.api.badge_image import CHARS_MAX, COLOURS, badge_svg
from fleetpulse.query.badges import Badge, Colour


def test_every_colour_is_drawn_with_enough_contrast_to_white() -> None:
    assert set(COLOURS) == set(get_args(Colour))
    for colour in COLOURS.values():
        red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 3, colour


@pytest.mark.parametrize("label", ["press-07", "<script>alert(1)</script>", "a & b \"c\" 'd'", "x" * 500])
def test_text_is_escaped_and_cut_and_told_to_those_who_do_not_see_it(label: str) -> None:
    image = ET.fromstring(badge_svg(Badge(label, "up", "brightgreen")))  # noqa: S314  # it is our own
    assert {part.tag.rpartition("}")[2] for part in image.iter()} == {"svg", "title", "rect", "g", "text"}
    shown = label if len(label) <= CHARS_MAX else label[: CHARS_MAX - 1] + "…"
    assert image.attrib["aria-label"] == f"{shown}: up"
    assert [part.text for part in image.iter() if part.tag.endswith("}text")] == [shown, "up"]
