import subprocess
import sys


def test_the_heap_can_be_bound_and_given_back_on_any_system() -> None:
    program = "from fleetpulse.heap import bound_heap, give_back; bound_heap(); give_back(); print('done')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
