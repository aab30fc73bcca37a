"""The error of a catalog that is elsewhere, which the tree in `errors.py` lists with all others."""

from fleetpulse.errors import DatabaseBusy


class CatalogAway(DatabaseBusy):
    """The server of the catalog (PostgreSQL) cannot be reached, shuts down, or is a standby: nothing was changed."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="catalog_away")
