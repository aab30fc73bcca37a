"""The lease of the work that only one node does at a time, such as checkpoints and alerts."""

from typing import NamedTuple


class Term(NamedTuple):
    """A holder's time in office: each further one has a higher epoch, also where the holder is the same."""

    holder: str
    epoch: int


class LeaseState(NamedTuple):
    """What the catalog says of the lease. `is_over`: another node may take it now, by the database's clock."""

    term: Term
    is_over: bool
