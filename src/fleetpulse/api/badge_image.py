"""A badge as SVG: two halves with text, without a script, a font or anything from elsewhere."""

from html import escape

from fleetpulse.query.badges import Badge, Colour

COLOURS: dict[Colour, str] = {
    "brightgreen": "#2e7d32",
    "yellow": "#b58900",
    "orange": "#c75000",
    "red": "#c62828",
    "blue": "#1565c0",
    "lightgrey": "#6b6b6b",
}
"""Dark enough for white text, whatever the page is."""
CHARS_MAX = 64
CHAR_PX, PADDING_PX, HEIGHT_PX = 7, 12, 20


def badge_svg(badge: Badge) -> bytes:
    """The image, with its text for those who do not see it."""
    label, message = _cut(badge.label), _cut(badge.message)
    left, right = _width(label), _width(message)
    width, colour, text = left + right, COLOURS[badge.colour], escape(f"{label}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT_PX}" role="img" aria-label="{text}">'
        f"<title>{text}</title>"
        f'<rect width="{left}" height="{HEIGHT_PX}" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT_PX}" fill="{colour}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - PADDING_PX}">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - PADDING_PX}">{escape(message)}</text>'
        "</g></svg>"
    ).encode()


def _cut(text: str) -> str:
    return text if len(text) <= CHARS_MAX else f"{text[: CHARS_MAX - 1]}…"


def _width(text: str) -> int:
    return CHAR_PX * len(text) + PADDING_PX
