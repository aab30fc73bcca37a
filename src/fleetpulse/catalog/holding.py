"""For which term of the lease a piece of work is done, so that the catalog refuses it when the term has ended.

A node that was paused, or cut off from the catalog, may go on with work of the holder when another node does it long
since. So such work runs within `holding`, and every transaction that begins there looks, in itself, whether the lease
is still of that term. The context goes with tasks and with the catalog's thread (`CatalogThread.run`); work that is
handed to another executor takes it along with `carried`.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from fleetpulse.errors import Deposed
from fleetpulse.model.lease import Term

_Result = TypeVar("_Result")
TERM_SQL = "SELECT holder, epoch FROM lease"
_TERM: ContextVar[Term | None] = ContextVar("term", default=None)


def current_term() -> Term | None:
    """The term of the work under way; None: it is no work of the holder."""
    return _TERM.get()


@contextmanager
def holding(term: Term | None) -> Generator[None, None, None]:
    """What is done within it is done for this term."""
    token = _TERM.set(term)
    try:
        yield
    finally:
        _TERM.reset(token)


def carried(work: Callable[[], _Result]) -> Callable[[], _Result]:
    """`work` for another thread, for the term of whoever calls this."""
    term = current_term()

    def run() -> _Result:
        with holding(term):
            return work()

    return run


def check_term(run: Callable[..., Any]) -> None:
    """Look in a transaction, before all else, whether its term lasts. Raises: Deposed: nothing may be changed."""
    term = current_term()
    if term is None:
        return
    row = run(TERM_SQL).fetchone()
    if row is None or tuple(row) != term:
        now = "nobody" if row is None else f"{row[0] or 'nobody'} (epoch {row[1]})"
        raise Deposed(f"{term.holder} (epoch {term.epoch}) does not have the lease any more, {now} has it")
