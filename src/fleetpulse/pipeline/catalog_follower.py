"""What whoever applies the journal needs of the catalog: to know it up to the versions that entries name."""

from typing import Protocol


class CatalogFollower(Protocol):
    """Whoever brings memory to what other nodes have written to the catalog."""

    @property
    def known(self) -> int:
        """The version of the catalog that memory holds."""
        ...

    async def reach(self, version: int) -> None:
        """Bring memory to this version at least, 0: to the newest. Raises: Answerable: the catalog is away."""
        ...


class Policies(Protocol):
    """Whoever lets changes of heartbeat policies take effect at the entries that name them."""

    def is_due(self, version: int) -> bool:
        """Whether an entry that names this version changes policies."""
        ...

    async def advance(self, version: int) -> None:
        """Let the changes up to a version take effect. Raises: Answerable: the catalog is away."""
        ...
