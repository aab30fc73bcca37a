"""Giving other threads their turn during long writes."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Piece = TypeVar("_Piece")


def paced(pieces: Iterable[_Piece], pause: Callable[[], None]) -> Iterator[_Piece]:
    """The pieces as they come, with a call of `pause` behind each."""
    for piece in pieces:
        yield piece
        pause()
