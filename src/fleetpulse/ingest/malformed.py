"""What is wrong with JSON that the decoder refused, in words that name the field and the sender's likely mistake.

The decoder says at which byte it stopped, and does not name the keys of a map. All of this runs for refused bodies
only.
"""

import re

import msgspec

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.notation.timestamp import EXPECTED
from fleetpulse.notation.whole import whole

BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which editors and PowerShell write before a text."""
_WINDOW_BYTES = 300
_STOPPED_AT = re.compile(r"\(byte (\d+)\)")
_TOKEN_BEFORE, _TOKEN = re.compile(rb"[-+.#\w]*\Z"), re.compile(rb"[-+.#\w]{1,24}")
_NOT_A_NUMBER = re.compile(rb"[-+]?(nan|inf|infinity|1\.#.*)(ind|q|s)?", re.IGNORECASE)
_KEY_BEFORE = re.compile(rb'"((?:[^"\\]|\\.){0,200})"\s*:\s*(?:\[[^\]"]*)?\Z')
_BEYOND_64_BITS = re.compile("(Number|Integer value) out of range")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_SURROGATE = re.compile(rb"%s(?!%s)|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})%s" % (_HIGH, _LOW, _LOW))


class _Metrics(msgspec.Struct):
    metrics: dict[str, msgspec.Raw]


def without_bom(body: bytes) -> bytes | None:
    """The body after its byte order mark, or None where it begins with none."""
    return body[len(BOM) :] if body.startswith(BOM) and not body.startswith(BOM, len(BOM)) else None


def malformed(error: Exception, expected: str, body: bytes) -> Malformed | OutOfRange:
    """The refusal of a body that `error` says is malformed. `expected` tells the sender the right form.

    A number such as 1e400 is well-formed, but nothing here can hold it: that is OutOfRange, as for other values.
    """
    wrong = what_is_wrong(error, body)
    if isinstance(error, msgspec.ValidationError) and _BEYOND_64_BITS.match(wrong):
        return OutOfRange(f"{wrong}: 64 bits do not hold it; {expected}", reason="number_range")
    return Malformed(f"{wrong}; {expected}")


def what_is_wrong(error: Exception, body: bytes) -> str:
    """What `error` says is wrong with a body, with the place or the field."""
    if isinstance(error, msgspec.ValidationError):
        return _wrong_value(str(error), body)
    if isinstance(error, msgspec.MsgspecError):
        return _wrong_json(str(error), body)
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return _wrong_utf8(body)
    return f"sent_at is not {EXPECTED}"


def _wrong_value(text: str, body: bytes) -> str:
    """Name the metric, for which the decoder writes `$.metrics[...]`."""
    if "`$.metrics[...]`" not in text:
        return text
    try:
        metrics = msgspec.json.decode(body, type=_Metrics).metrics
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text  # more is wrong behind the value, where the decoder did not get to
    for name, value in metrics.items():
        try:
            msgspec.json.decode(value, type=int | float | None)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return f"{str(error).partition(' - at')[0]} - at `$.metrics.{name[:100]}`"
    return text


def _wrong_json(text: str, body: bytes) -> str:
    stopped_at = _STOPPED_AT.search(text)
    if "surrogate" in text or "truncated" in text:
        lone = _LONE_SURROGATE.search(body)
        if lone is not None:
            half = lone[0].decode()
            return f"JSON is malformed: byte {lone.start()} has {half}, half of a surrogate pair, which is no character"
    # The decoder may stop up to three bytes behind the token: it reads `nan}` as a `null` that is wrong.
    for place in range(int(stopped_at[1]), int(stopped_at[1]) - 4, -1) if stopped_at else ():
        name = _not_a_number_at(body, place)
        if name:
            return f"{name}, which JSON has no number for: leave out what was not measured, or send null for a metric"
    return text


def _not_a_number_at(body: bytes, place: int) -> str:
    """Which key has which NaN or infinity, as C and Python write them, at a place in a body; empty: there is none."""
    before = body[max(0, place - _WINDOW_BYTES) : place]
    start = place - len(_TOKEN_BEFORE.search(before)[0])  # type: ignore[index]  # it matches an empty token, too
    token, key = _TOKEN.match(body, start), _KEY_BEFORE.search(body[max(0, start - _WINDOW_BYTES) : start])
    if token is None or key is None or not _NOT_A_NUMBER.fullmatch(token[0]):
        return ""
    return f"`{key[1].decode(errors='replace')}` is {token[0].decode(errors='replace')}"


def _wrong_utf8(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"JSON is not UTF-8: byte {error.start} (0x{body[error.start]:02x}) does not fit"
    return "JSON is not UTF-8"


def whole_number(name: str, value: float) -> int:
    """An integer that may have been written as 5.0 or 1e3. Raises: Malformed: it is none, or it is not known which."""
    integer = whole(value)
    if integer is None:
        hint = ": beyond 2^53 write it without fraction and exponent" if value.is_integer() else ""
        raise Malformed(f"{name} must be a whole number, not {value}{hint}")
    return integer
