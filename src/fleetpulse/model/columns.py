"""Columns of one length that say something about devices, one row each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DeviceColumns:
    """Numpy columns, each shape (n,): row i is about device number `devices[i]`. Never changed once made."""

    devices: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.devices)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """The rows of a mask (bool, shape (n,)), of row numbers (int64, in their order), or of a slice."""
        return type(self)(*(getattr(self, column.name)[chosen] for column in fields(self)))


_Columns = TypeVar("_Columns", bound=DeviceColumns)


def join_columns(pieces: Sequence[_Columns], empty: _Columns) -> _Columns:
    """All rows of all pieces, in their order; `empty` where there is no piece. A single piece is not copied."""
    if len(pieces) < 2:
        return pieces[0] if pieces else empty
    names = [column.name for column in fields(empty)]
    return type(empty)(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))
