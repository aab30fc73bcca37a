"""A new admin key for whoever owns the machine, made in the data folder of a service that is stopped."""

from pathlib import Path

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import SystemClock
from fleetpulse.data_folder import CATALOG, hold_folder
from fleetpulse.errors import SettingsError
from fleetpulse.pipeline.admin_key import make_admin_key


def recover(folder: Path) -> tuple[int, Path]:
    """Make a key that may do everything. Returns: its number, and the file that it is in.

    Raises: SettingsError: this is no data folder. DataFolderInUse; DamagedData; StorageFailed; DatabaseBusy.
    """
    if not (folder / CATALOG).is_file():
        raise SettingsError(f"{folder} is no data folder, since there is no {CATALOG}: name one with --data.")
    with hold_folder(folder):
        catalog = SqliteCatalog(folder / CATALOG)
        try:
            number, at_ns = catalog.keys.next_number(), SystemClock().now_ns()
            key, path = make_admin_key(catalog, folder, number=number, at_ns=at_ns, by="fleetpulse keys recover")
        finally:
            catalog.close()
    return key.number, path
