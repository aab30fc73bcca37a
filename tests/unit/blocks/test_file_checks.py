"""What a failed check says of a block; that checks fail is tested in tests/contract."""

import pytest

from fleetpulse.blocks.file_checks import raise_if_away
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData, Unreadable


@pytest.mark.parametrize("is_remote", [True, False])
@pytest.mark.parametrize("error", [Unreadable("away"), DamagedData("damaged")])
def test_only_a_remote_store_can_be_away(is_remote: bool, error: DamagedData) -> None:
    store = MemoryBlockStore()
    store.is_remote = is_remote
    if is_remote and isinstance(error, Unreadable):
        with pytest.raises(Unreadable):
            raise_if_away(store, error)
    else:
        raise_if_away(store, error)
