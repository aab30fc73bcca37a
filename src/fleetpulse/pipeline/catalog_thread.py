"""The catalog's one thread, as those use it who change the catalog while events come in."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from fleetpulse.errors import NotAccepting

_Result = TypeVar("_Result")


class CatalogThread:
    """Runs work on the catalog's thread, and turns a failing disk into an error that can be answered."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, which is one transaction.

        Raises: NotAccepting: the catalog could not be written; DatabaseBusy: another program has locked it. Either
            way nothing was changed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            raise NotAccepting(
                f"the catalog could not be written ({error}): nothing was changed", reason="catalog_failed"
            ) from error
