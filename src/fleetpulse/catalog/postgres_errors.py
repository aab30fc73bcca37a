"""What errors of PostgreSQL mean: who must wait, and what must be done."""

import psycopg
from psycopg import errors

from fleetpulse.catalog_away import CatalogAway
from fleetpulse.errors import DamagedData, DatabaseBusy, OutOfRange, StorageFailed

_WAIT = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
_REFUSED = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
    errors.InsufficientPrivilege,
)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted, errors.UndefinedTable, errors.UndefinedColumn)
_LOST_STATES = ("08", "57P", "25006", "25P03", "53300")
"""Classes of states after which a new connection may lead to a server that works: lost, shut down, a standby."""


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is of no use any more."""
    state = error.sqlstate or ""
    if state:
        return state.startswith(_LOST_STATES)
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def refusal_of(error: psycopg.Error, name: str) -> Exception:
    """The error of ours for one of the library. Nothing was changed. Args: name: of the database, for people."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, _WAIT):
        return DatabaseBusy(
            f"another transaction of the catalog {name} did not end within database_wait_s ({reason}): nothing was "
            "changed, try again"
        )
    if isinstance(error, _REFUSED) or _is_refused_sign_in(reason):
        return StorageFailed(
            f"the catalog {name} refuses us ({reason}): see that the role and the database exist, that the role owns "
            "the database, and that the password is right."
        )
    if isinstance(error, errors.QueryCanceled):
        return DatabaseBusy(
            f"the catalog {name} took longer than catalog_timeout_s ({reason}): nothing was changed, try again"
        )
    if isinstance(error, _DAMAGED):
        return DamagedData(f"the catalog {name} is not what was written: {reason}. Restore the database from a copy.")
    if isinstance(error, psycopg.DataError):
        return OutOfRange(f"the catalog cannot store this value ({reason})", reason="not_storable")
    if isinstance(error, psycopg.IntegrityError):
        return DatabaseBusy(f"another node has changed the catalog {name} meanwhile ({reason}): try again")
    if is_lost(error) or (error.sqlstate or "").startswith(("53", "58")):
        return away(name, reason)
    return DamagedData(f"the catalog {name} cannot be used: {reason}. See the log of PostgreSQL.")


def away(name: str, because: str) -> CatalogAway:
    """The error that says that the server cannot be used now."""
    reason = " ".join(because.split())
    return CatalogAway(f"the catalog's server {name} cannot be used now ({reason}): nothing was changed, try again")


def _is_refused_sign_in(reason: str) -> bool:
    """While connecting, psycopg knows no states of errors: only texts, in the language of the server."""
    return (
        "authentication failed" in reason
        or ("FATAL" in reason and "does not exist" in reason)
        or "no pg_hba.conf" in reason
    )
