"""JSON of long answers in pieces, byte for byte what `encode` gives for the whole.

The encoder keeps the interpreter to itself until it is done, in whatever thread it runs. So what is long is encoded a
piece at a time, and the other threads have their turns between the pieces.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from fleetpulse.query.answer_size import PIECE_ITEMS, is_long, items_of

encode = msgspec.json.Encoder(decimal_format="number").encode
"""The JSON of a value; decimals are numbers, with all their digits."""


def encode_pieces(value: Any) -> Iterator[bytes]:
    """The JSON of a value, in pieces: of structs with plain fields, dicts by text, lists, and what they hold."""
    if not is_long(value):
        yield encode(value)
    elif isinstance(value, (list, tuple)):
        yield from _list_pieces(value)
    elif isinstance(value, dict):
        yield from _object_pieces(value.items())
    elif isinstance(value, Struct) and not _is_special(value):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        fields = ((key, getattr(value, name)) for name, key in names)
        yield from _object_pieces((key, one) for key, one in fields if one is not UNSET)
    else:
        yield encode(value)


def _is_special(value: Struct) -> bool:
    """Whether a struct is more than its fields in their order."""
    config = value.__struct_config__
    return bool(config.omit_defaults or config.array_like or config.tag)


def _object_pieces(items: Any) -> Iterator[bytes]:
    before = b"{"
    for key, one in items:
        yield before + encode(key) + b":"
        yield from encode_pieces(one)
        before = b","
    yield b"{}" if before == b"{" else b"}"


def _list_pieces(values: Any) -> Iterator[bytes]:
    step = max(1, len(values) * PIECE_ITEMS // items_of(values))
    yield b"["
    for start in range(0, len(values), step):
        if start:
            yield b","
        if step == 1:
            yield from encode_pieces(values[start])
        else:
            yield encode(values[start : start + step])[1:-1]
    yield b"]"
