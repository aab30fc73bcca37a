"""Several files of a metric are read as one, sorted, a bounded number of rows at a time."""

from fleetpulse.aggregate.aggregations import figures
from fleetpulse.blocks.compaction.units import cut_units, rollups_of_files, samples_of_files
from fleetpulse.blocks.samples import RowRange
from fleetpulse.model.manifest import HOUR, RAW
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from sample_blocks import CPU, DAY, LOAD, SampleBlocks

START_NS, END_NS = DAY * NS_PER_DAY, (DAY + 1) * NS_PER_DAY


def test_samples_of_overlapping_files_come_sorted_and_cut_to_the_times() -> None:
    blocks = SampleBlocks()
    one = blocks.fresh((CPU, 1, 5.0, 1.0), (CPU, 0, 9.0, 2.0), (CPU, 1, 2000.0, 3.0))
    two = blocks.fresh((CPU, 0, 3.0, 4.0), (LOAD, 0, 3.0, 5.0), (CPU, 1, 7.0, 6.0), (CPU, 0, -1.0, 7.0))
    files = [one.files[RAW], two.files[RAW]]
    (piece,) = samples_of_files(blocks.history, files, CPU, start_ns=START_NS, end_ns=END_NS, is_distinct=True)
    assert piece.devices.tolist() == [0, 0, 1, 1]
    assert ((piece.at_ns - START_NS) // NS_PER_MINUTE).tolist() == [3, 9, 5, 7]


def test_cells_that_two_files_share_become_one() -> None:
    blocks = SampleBlocks()
    parts = blocks.part((CPU, 1, 5.0, 1.0), (CPU, 2, 5.0, 1.0)), blocks.part((CPU, 1, 6.0, 2.0), (CPU, 1, 70.0, 4.0))
    (rows,) = rollups_of_files(blocks.history, [part.files[HOUR] for part in parts], CPU, "float")
    assert rows.devices.tolist() == [1, 1, 2]
    assert rows.cells.counts.tolist() == [2, 1, 1]
    assert figures(rows.cells, "sum") == [3.0, 4.0, 1.0]


def test_a_metric_that_no_file_holds_is_one_empty_unit() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 1, 5.0, 1.0))
    whole = RowRange(START_NS, END_NS)
    assert list(cut_units([blocks.history.footer(part.files[RAW])], LOAD, whole, 10)) == [whole]
    assert (
        list(
            samples_of_files(
                blocks.history, [part.files[RAW]], LOAD, start_ns=START_NS, end_ns=END_NS, is_distinct=True
            )
        )
        == []
    )
