import subprocess
import sys

import numpy as np
import pytest

from fleetpulse.heap import lazy_zeros


def test_the_heap_can_be_bound_and_given_back_on_any_system() -> None:
    program = "from fleetpulse.heap import bound_heap, give_back; bound_heap(); give_back(); print('done')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


def test_a_lazy_array_is_zero_and_may_be_empty() -> None:
    array = lazy_zeros((3, 2), np.int32)
    array[1, 1] = 7
    assert array.tolist() == [[0, 0], [0, 7], [0, 0]]
    assert lazy_zeros((0, 23), np.uint64).shape == (0, 23)


def test_more_than_the_system_maps_is_an_error_and_no_crash() -> None:
    with pytest.raises(OSError, match="memory"):
        lazy_zeros((2**50,), np.uint64)
