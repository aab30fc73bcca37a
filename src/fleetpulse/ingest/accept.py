"""What a client accepts: the headers Accept, Accept-Encoding and If-None-Match, read as RFC 9110 says.

The front door reads no more of them than whether a request needs the ASGI path, so both paths answer alike.
"""

import re
from functools import lru_cache

PROBLEM, JSON = "application/problem+json", "application/json"
CODINGS = ("zstd", "gzip")
"""Codings of answers, the better one first; it is taken where a client likes both equally."""
IDENTITY = "identity"
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_TAG = re.compile(r'(?:W/)?("[^"]*")')


@lru_cache(256)
def qualities(header: str) -> dict[str, float]:
    """The names of such a header, in lower case, with their quality, 0 to 1; one that cannot be read counts as 0."""
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
        if name:
            found.setdefault(name, quality)
    return found


def choose_coding(accept_encoding: str) -> str | None:
    """The coding of an answer: one of CODINGS, or IDENTITY; None where the client refuses all of these."""
    offered = dict(qualities(accept_encoding))
    if "x-gzip" in offered:
        offered.setdefault("gzip", offered["x-gzip"])
    others = offered.get("*")
    # Without a word about it, an answer as it is is always acceptable, but every coding that is named is liked better.
    identity = offered.get(IDENTITY, 0.0 if others == 0 else 0.001)
    liked = {coding: offered.get(coding, others or 0.0) for coding in CODINGS} | {IDENTITY: identity}
    best = max(liked, key=lambda coding: liked[coding])
    return best if liked[best] > 0 else None


def refuses_identity(accept_encoding: str) -> bool:
    """Whether an answer must not be sent as it is."""
    offered = qualities(accept_encoding)
    return offered.get(IDENTITY, offered.get("*", 1.0)) == 0


def problem_media(accept: str) -> str:
    """The media type of a problem: `application/problem+json` where `Accept` names it, and not JSON before it."""
    liked = qualities(accept)
    problem = liked.get(PROBLEM, 0.0)
    return PROBLEM if problem > 0 and problem >= liked.get(JSON, 0.0) else JSON


def accepts(accept: str, media: str) -> bool:
    """Whether `Accept` allows an answer of this media type: the most exact word about it counts."""
    liked = qualities(accept)
    for name in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if name in liked:
            return liked[name] > 0
    return not liked


def prefers_html(accept: str) -> bool:
    """Whether a browser asks: `Accept` names HTML, and not JSON before it."""
    liked = qualities(accept)
    html = liked.get("text/html", 0.0)
    return html > 0 and html >= liked.get(JSON, 0.0)


def matches_tag(if_none_match: str, tag: str) -> bool:
    """Whether `If-None-Match` names the entity tag `tag`, or `*`; weak and strong tags of one text are the same."""
    if if_none_match.strip() == "*":
        return True
    return tag.removeprefix("W/") in _TAG.findall(if_none_match)
