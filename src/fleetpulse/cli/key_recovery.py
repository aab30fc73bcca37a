"""A new admin key for whoever owns the machine, or the database: made beside the service, not by asking it."""

import os
from contextlib import ExitStack
from pathlib import Path

from fleetpulse.clock import SystemClock
from fleetpulse.data_folder import CATALOG, hold_folder, open_catalog
from fleetpulse.errors import SettingsError, StorageFailed
from fleetpulse.pipeline.admin_key import make_admin_key, making_admin_key
from fleetpulse.settings import load_settings
from fleetpulse.storage_causes import storage_text

_BY = "fleetpulse keys recover"


def recover(folder: Path, catalog: str = "") -> tuple[int, Path]:
    """Make a key that may do everything. Returns: its number, and the file that it is in.

    Args:
        folder: of the service; where the catalog is elsewhere, any folder for the file.
        catalog: `postgresql://…` of nodes, which may run meanwhile; empty: that of the settings, or in the folder.
    Raises: SettingsError: there is no catalog. DataFolderInUse; DamagedData; StorageFailed; DatabaseBusy.
    """
    is_own = not catalog and (folder / CATALOG).is_file()
    flags = {"data": str(folder), **({"catalog": catalog} if catalog else {})}
    settings = load_settings(flags, {} if is_own else os.environ, None)
    if not (is_own or settings.catalog):
        raise SettingsError(
            f"{folder} is no data folder, since there is no {CATALOG}: name one with --data, or, of several nodes, "
            "their catalog with --catalog or FLEETPULSE_CATALOG_FILE."
        )
    with ExitStack() as closing:
        if is_own:
            closing.enter_context(hold_folder(folder))
        elif not folder.is_dir():
            raise SettingsError(f"{folder} is no folder: name one for the file of the key with --data.")
        try:
            opened = open_catalog(settings, SystemClock())
        except OSError as error:
            raise StorageFailed(storage_text(error, folder)) from error
        closing.callback(opened.close)
        with making_admin_key(opened, by=_BY):  # one transaction: a node that makes a key meanwhile gets another number
            number, at_ns = opened.keys.next_number(), SystemClock().now_ns()
            key, path = make_admin_key(opened, folder, number=number, at_ns=at_ns, by=_BY)
    return key.number, path
