"""Annotations: texts that people write for alerts, with the names of facts in braces: `CPU of {device} is {value}`.

The names are a closed list, and `label.NAME` for a label of the device; `{{` and `}}` are braces. There is nothing else
in braces: no attributes, no indexes, no formats. So an annotation can show what the alert is about, and nothing more.
"""

import re
from collections.abc import Callable, Mapping

from fleetpulse.model.text import is_name

FACTS = {
    "rule": "the name of the rule",
    "severity": "`info`, `warning` or `critical`",
    "owner": "whom the rule says the alert concerns",
    "subject": "the device, the label's value such as `site=paris`, or `service`",
    "device": "the same",
    "state": "`firing` or `resolved`",
    "value": "the figure that was compared, with its unit",
    "since": "since when the condition is true",
    "duration": "for how long",
    "last_seen": "when the device was last heard",
    "times": "how often it has fired; more than 1 if it flaps",
    "number": "the number of the alert",
}
"""What can stand in braces, beside `label.NAME`."""
LABEL = "label."
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


def check_annotation(template: str, *, field: str = "annotation") -> None:
    """Raises: ValueError: what is in braces is no fact, or a brace is alone; the error names `field` and what may."""
    for match in _PIECE.finditer(template):
        piece, name = match[0], match[1]
        if piece in ("{", "}"):
            near = template[max(0, match.start() - 20) : match.start() + 20]
            raise ValueError(
                f"{field}: a `{piece}` is alone near `{near}`; a brace itself is written twice: `{piece * 2}`"
            )
        if name is not None and not _is_known(name):
            known = ", ".join(f"{{{fact}}}" for fact in FACTS)
            raise ValueError(f"{field}: `{{{name[:64]}}}` is unknown; known are {known} and {{label.NAME}}")


def render_annotation(
    template: str, facts: Mapping[str, str], *, escape: Callable[[str], str] = lambda text: text
) -> str:
    """The text of a template that was checked. A fact that there is not is empty.

    Args:
        facts: values by names of FACTS, and by `label.NAME`.
        escape: makes values, and the words between them, harmless in what the text becomes a part of.
    """
    parts: list[str] = []
    for match in _PIECE.finditer(template):
        piece, name = match[0], match[1]
        if name is not None:
            piece = facts.get(name, "")
        elif piece in ("{{", "}}"):
            piece = piece[0]
        parts.append(escape(piece))
    return "".join(parts)


def _is_known(name: str) -> bool:
    return name in FACTS or (name.startswith(LABEL) and is_name(name.removeprefix(LABEL)))
