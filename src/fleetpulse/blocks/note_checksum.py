"""The checksum of a note beside the blocks: the last field of its JSON object, over all before it."""

import hashlib

CHECKSUM = "sha256"
_END = -len(f',"{CHECKSUM}":""}}') - 64
"""Where the checksum begins, with its name."""


def with_checksum(body: bytes) -> bytes:
    """A JSON object that is not empty, with its checksum as one more field."""
    return body[:-1] + f',"{CHECKSUM}":"{hashlib.sha256(body).hexdigest()}"}}'.encode()


def has_sound_checksum(body: bytes) -> bool:
    """Whether a note is what `with_checksum` made."""
    return body == with_checksum(body[:_END] + b"}")
