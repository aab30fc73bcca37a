"""How new devices enrol: the terms of enrolment keys, and what is kept of each device that enrolled."""

import re
from typing import NamedTuple

from fleetpulse.model.units import NS_PER_S

REPEAT_NS = 600 * NS_PER_S
"""So long after the first key of a device was given out its enrolment may be repeated, while the key is unused."""
SECRET_CHARS_LOWEST, SECRET_CHARS_MAX = 22, 128
SECRET_PATTERN = rf"[A-Za-z0-9+/=._~-]{{{SECRET_CHARS_LOWEST},{SECRET_CHARS_MAX}}}"
"""128 random bits are 22 characters of base 64, or 32 of base 16."""
STARS_MAX = 8
_PATTERN = re.compile(r"[A-Za-z0-9._~:@+=,*-]{1,128}")
_DIFFERENT_CHARS_LOWEST = 8


class EnrolmentTerms(NamedTuple):
    """What an enrolment key lets devices do.

    Attributes:
        key: its number.
        uses_max: how many devices may enrol with it.
        uses: how many have.
        pattern: what their ids must look like; `*` stands for any characters.
        labels: (name, value) that each of them gets, whatever it says of itself.
        takes: names of labels that are taken from the device itself.
    """

    key: int
    uses_max: int
    uses: int
    pattern: str
    labels: tuple[tuple[str, str], ...]
    takes: tuple[str, ...]

    def matches(self, device_id: str) -> bool:
        """Whether a device of this id may enrol."""
        parts = map(re.escape, self.pattern.split("*"))
        return re.fullmatch(".*?".join(parts), device_id) is not None


class Enrolment(NamedTuple):
    """What is kept of a device that enrolled, or that people let enrol.

    Attributes:
        device: its number.
        device_key: the number of the key that it was given last; 0: people have let it enrol, and it has not yet.
        secret_hash: SHA-256 of the secret that it made.
        at_ns: when it was given its first key.
    """

    device: int
    enrolment_key: int
    device_key: int
    secret_hash: bytes
    at_ns: int


def check_pattern(pattern: str) -> None:
    """Raises: ValueError: it is no pattern of ids."""
    if not _PATTERN.fullmatch(pattern) or pattern.count("*") > STARS_MAX:
        raise ValueError(
            f"`{pattern[:150]}` is no pattern of device ids: use the characters of ids, and `*` for any characters, at "
            f"most {STARS_MAX} times"
        )


def check_secret(secret: str) -> None:
    """Raises: ValueError: it cannot have 128 random bits."""
    if not re.fullmatch(SECRET_PATTERN, secret) or len(set(secret)) < _DIFFERENT_CHARS_LOWEST:
        raise ValueError(
            "`enroll_secret` must be at least 128 random bits that the device made, such as `openssl rand -hex 32` "
            f"prints: {SECRET_CHARS_LOWEST} to {SECRET_CHARS_MAX} characters of A-Z a-z 0-9 + / = . _ ~ -"
        )
