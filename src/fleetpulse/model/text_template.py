"""Templates of texts that people can change: names in braces, parts that repeat, and parts that may be left out.

    {device}                     the value of a field
    {label.site}                 the value of a name that people chose; empty where there is none
    {#alerts} … {/alerts}        once for each of a list; fields of the entry hide those around it
    {?value} … {/value}          only where the field has a value
    {{ and }}                    a brace

There is nothing else: no expressions, no access to anything but the named texts, and what comes out is bounded. A
template is checked when it is declared, so that a wrong name is found then and not when somebody must be told.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from fleetpulse.model.text import NAME_PATTERN

DEPTH_MAX = 4
PARTS_MAX = 1_000
TEXT_CHARS_MAX = 32_768
"""A text that a template makes; beyond it, RenderedTooLong."""
_TAG = re.compile(r"\{\{|\}\}|\{([#?/]?)([^{}]*)\}|[{}]")
_FIELD = re.compile(r"[a-z][a-z0-9_]*(?:\." + NAME_PATTERN + ")?", re.ASCII)
Entry = Mapping[str, str]


class RenderedTooLong(ValueError):
    """A template makes a text of more than TEXT_CHARS_MAX characters."""


class Part(NamedTuple):
    """A piece of a template. `kind`: `text` (itself), `field`, `if` (parts if it has a value), `each` (of a list)."""

    kind: str
    text: str
    parts: tuple["Part", ...] = ()


class Names(NamedTuple):
    """What a template may name: fields, prefixes of names that people choose (`label`), and lists of entries."""

    fields: Collection[str]
    prefixes: Collection[str] = ()
    lists: Mapping[str, "Names"] = {}


class Template(NamedTuple):
    """A checked template."""

    parts: tuple[Part, ...]

    def render(self, fields: Entry, lists: Mapping[str, Sequence[Entry]] | None = None) -> str:
        """The text. Raises: RenderedTooLong."""
        pieces: list[str] = []
        _render(self.parts, fields, lists or {}, pieces, [0])
        return "".join(pieces)


def parse_template(text: str, names: Names) -> Template:
    """A template of these names. Raises: ValueError: says what is wrong, where, and what is known."""
    stack: list[tuple[str, str, list[Part], Names]] = [("", "", [], names)]
    last, count = 0, 0
    for match in _TAG.finditer(text):
        kind, name, parts, known = stack[-1]
        if match.start() > last:
            parts.append(Part("text", text[last : match.start()]))
        last, count = match.end(), count + 1
        if count > PARTS_MAX:
            raise ValueError(f"a template may have at most {PARTS_MAX} names in braces")
        tag, sign, inner = match.group(), match.group(1), (match.group(2) or "").strip()
        if tag in ("{{", "}}"):
            parts.append(Part("text", tag[0]))
        elif tag in ("{", "}"):
            raise ValueError(f"{_at(text, match.start())}: a single `{tag}`; write {tag}{tag} for the character")
        elif sign == "/":
            if inner != name or not kind:
                expected = f"{{/{name}}}" if kind else "no such end"
                raise ValueError(f"{_at(text, match.start())}: `{{/{inner[:64]}}}`, where {expected} is expected")
            stack.pop()
            stack[-1][2].append(Part(kind, name, tuple(parts)))
        elif sign:
            if len(stack) > DEPTH_MAX:
                raise ValueError(f"{_at(text, match.start())}: parts stand in each other more than {DEPTH_MAX} deep")
            stack.append(("each" if sign == "#" else "if", inner, [], _inside(sign, inner, known, text, match.start())))
        else:
            _check(inner, known, text, match.start())
            parts.append(Part("field", inner))
    kind, name, parts, _ = stack[-1]
    if kind:
        raise ValueError(f"the end {{/{name}}} is missing")
    if last < len(text):
        parts.append(Part("text", text[last:]))
    return Template(tuple(parts))


def _inside(sign: str, name: str, known: Names, text: str, at: int) -> Names:
    if sign == "?":
        _check(name, known, text, at)
        return known
    inner = known.lists.get(name)
    if inner is None:
        lists = ", ".join(sorted(known.lists)) or "there is none here"
        raise ValueError(f"{_at(text, at)}: `{{#{name[:64]}}}` is no list; known are: {lists}")
    return Names({*known.fields, *inner.fields}, {*known.prefixes, *inner.prefixes}, inner.lists)


def _check(name: str, known: Names, text: str, at: int) -> None:
    prefix, dot, _ = name.partition(".")
    if _FIELD.fullmatch(name) is None or (prefix not in known.prefixes if dot else name not in known.fields):
        listed = ", ".join([*sorted(known.fields), *(f"{one}.NAME" for one in sorted(known.prefixes))])
        raise ValueError(f"{_at(text, at)}: `{{{name[:64]}}}` is not known; known are: {listed}")


def _at(text: str, place: int) -> str:
    line = text.count("\n", 0, place) + 1
    return f"line {line}, column {place - (text.rfind(chr(10), 0, place) + 1) + 1}"


def _render(
    parts: Sequence[Part], fields: Entry, lists: Mapping[str, Sequence[Entry]], pieces: list[str], size: list[int]
) -> None:
    for part in parts:
        if part.kind == "each":
            for entry in lists.get(part.text, ()):
                _render(part.parts, {**fields, **entry}, {}, pieces, size)
        elif part.kind == "if":
            if fields.get(part.text):
                _render(part.parts, fields, lists, pieces, size)
        else:
            text = part.text if part.kind == "text" else fields.get(part.text, "")
            size[0] += len(text)
            if size[0] > TEXT_CHARS_MAX:
                raise RenderedTooLong(f"the text has more than {TEXT_CHARS_MAX} characters")
            pieces.append(text)
