"""The settings of a catalog that several nodes share, which opening it takes as a group; see `limits.py`."""

from dataclasses import dataclass

from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class CatalogSettings:
    """Shared catalog."""

    catalog: str = setting(
        "", "Database of the catalog: postgresql://user@host:port/database; empty: a file in the data folder."
    )
    catalog_password: str = setting("", "Password of its user; give it by FLEETPULSE_CATALOG_PASSWORD_FILE.")
    catalog_timeout_s: float = setting(
        5.0, "Time that PostgreSQL may take for a statement; after it, 503 `catalog_away`.", "s", 0.5, 600
    )
    catalog_wait_s: float = setting(
        60.0,
        "Time that a start waits for PostgreSQL, and for other nodes that change it; after it, the process ends.",
        "s",
        0,
        86_400,
    )
