import zlib

import pytest

from fleetpulse.catalog.row_checksum import is_changed, row_checksum


def test_a_checksum_depends_on_every_column() -> None:
    assert len({row_checksum(*row) for row in ((1, "a"), ("1", "a"), (1, "b"), (1, b"a"), (1, None), (1,))}) == 6


@pytest.mark.parametrize("values", [(1, "a"), ("d", "{}", None, 2.5, "Zürich \u0378 \U0001fae8", b"\xff")])
def test_a_row_is_as_it_was_written_also_by_an_older_version(values: tuple[object, ...]) -> None:
    older = zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))
    for written in (row_checksum(*values), older, None):
        assert not is_changed(values, written)
        assert is_changed((*values, 1), written) == (written is not None)
