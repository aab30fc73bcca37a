import psycopg
import pytest
from psycopg import errors

from fleetpulse.catalog.postgres_errors import is_lost, refusal_of
from fleetpulse.catalog_away import CatalogAway
from fleetpulse.errors import DamagedData, DatabaseBusy, OutOfRange, StorageFailed


@pytest.mark.parametrize(
    ("error", "kind", "lost"),
    [
        (errors.LockNotAvailable("x"), DatabaseBusy, False),
        (errors.QueryCanceled("x"), DatabaseBusy, False),
        (errors.UniqueViolation("x"), DatabaseBusy, False),
        (errors.AdminShutdown("x"), CatalogAway, True),
        (errors.CannotConnectNow("x"), CatalogAway, True),
        (errors.ReadOnlySqlTransaction("x"), CatalogAway, True),
        (errors.IdleInTransactionSessionTimeout("x"), CatalogAway, True),
        (errors.DiskFull("x"), CatalogAway, False),
        (psycopg.OperationalError("server closed the connection unexpectedly"), CatalogAway, True),
        (psycopg.OperationalError('FATAL: password authentication failed for user "x"'), StorageFailed, True),
        (psycopg.OperationalError('FATAL: database "x" does not exist'), StorageFailed, True),
        (errors.InsufficientPrivilege("x"), StorageFailed, False),
        (errors.DataCorrupted("x"), DamagedData, False),
        (errors.UndefinedTable("x"), DamagedData, False),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), OutOfRange, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_says_who_must_act(error: psycopg.Error, kind: type[Exception], lost: bool) -> None:
    found = refusal_of(error, "postgresql://db/fleet")
    assert type(found) is kind
    assert is_lost(error) == lost
    assert "NUL" in str(found) or "postgresql://db/fleet" in str(found)
