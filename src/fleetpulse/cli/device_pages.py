"""Lists that the service answers a page at a time, joined into one answer."""

from typing import Any

from msgspec import Raw, Struct
from msgspec.json import decode

from fleetpulse.cli.client import Answer, Client, Query


class _Page(Struct):
    """Where a page ends."""

    next_cursor: str | None


def _listed(answer: Answer, field: str) -> list[Raw]:
    """What a page lists as it was sent, with fields that this command does not know."""
    return decode(answer.into(dict[str, Raw])[field], type=list[Raw])


def join_pages(
    client: Client, path: str, query: Query, *, limit: int | None, page_max: int, field: str = "devices"
) -> Answer:
    """The first `limit` devices (None: all): the service's answer as it is, or where it takes several, joined.

    Args:
        page_max: how many devices the service lists at most in one answer.
        field: the name of the list in the answer.
    Raises: NotAnswered; CommandRefused.
    """
    answer = client.get(path, [*query, ("limit", min(page_max, limit or page_max))])
    page = answer.into(_Page)
    if page.next_cursor is None or (limit is not None and limit <= page_max):
        return answer
    listed = _listed(answer, field)
    while page.next_cursor is not None and (limit is None or len(listed) < limit):
        size = page_max if limit is None else min(page_max, limit - len(listed))
        answer = client.get(path, [*query, ("limit", size), ("cursor", page.next_cursor)])
        page = answer.into(_Page)
        listed += _listed(answer, field)
    fields: dict[str, Any] = answer.into(dict[str, Raw])
    return Answer.of({**fields, field: listed}, server_s=answer.server_s)
