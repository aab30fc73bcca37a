"""A row is copied a few times only, however many files come, and there are few files."""

from fleetpulse.blocks.compaction.smallest import MERGED_MAX, smallest, smallest_alike


def test_the_smallest_are_chosen_up_to_one_that_is_much_larger() -> None:
    table = {
        (): [],
        (5,): [5],
        (9, 1): [1, 9],
        (100, 1, 1, 1, 3, 50): [1, 1, 1, 3],
        (4, 3, 2, 1): [1, 2, 3, 4],
        (1,) * 20: [1] * MERGED_MAX,
    }
    assert {sizes: smallest(sizes, int) for sizes in table} == table


def test_thousands_of_files_of_one_size_are_copied_a_few_times_each() -> None:
    files: list[int] = []
    copied = 0
    for _ in range(4_000):
        files.append(1)
        if len(files) > 4:
            chosen = smallest(files, int)
            for size in chosen:
                files.remove(size)
            files.append(sum(chosen))
            copied += sum(chosen)
        assert len(files) <= 16
    assert sum(files) == 4_000
    assert copied < 4_000 * 24


def test_files_of_very_different_size_are_left_and_those_of_about_one_size_are_not() -> None:
    table = {
        (): [],
        (5,): [],
        (9, 1): [],
        (4, 3): [3, 4],
        (1, 10, 12): [1, 10, 12],
        (1, 10, 100): [],
        (100, 1, 2): [1, 2],
    }
    assert {sizes: smallest_alike(sizes, int) for sizes in table} == table
