"""How much memory the process may still take, so that a start that cannot succeed ends in a sentence.

Without it the system kills the process in the midst of the start, again and again, and nobody is told why. What is
needed is estimated from below: a start that might succeed is never refused.
"""

import contextlib
import errno
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetpulse.errors import TooLittleMemory

BYTES_AT_LEAST = 64 << 20
"""What the interpreter and the libraries take before there is any device."""
ADDRESS_BYTES_AT_LEAST = 448 << 20
"""The same, of addresses: libraries reserve more than they use."""
BYTES_A_DEVICE = 360
"""What a device takes at least: its id 130, its columns 50, a day of presence 180; see docs/decisions/0005."""
_TEXTS = ("cannot allocate memory", "failed to map segment", "can't start new thread", "out of memory")
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that may still be taken, which limit says so, and how it is raised."""

    free_bytes: int
    limit: str
    todo: str
    is_address_space: bool = False


def rooms(*, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> list[Room]:
    """What each limit leaves: of the machine, of the control groups, and of the process. Unknown ones are left out."""
    found = list(_of_control_groups(proc, cgroups))
    with contextlib.suppress(OSError, KeyError, ValueError):
        machine = _numbers(proc / "meminfo")
        free_kb = machine["MemAvailable:"] + machine.get("SwapFree:", 0)
        found.append(Room(free_kb << 10, "the machine has left", "stop other programs, or take a larger machine"))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            used = int((proc / "self/statm").read_text().split()[0]) * resource.getpagesize()
            todo = "raise it (`ulimit -v` of a shell, LimitAS of systemd)"
            found.append(
                Room(max(0, soft - used), "the limit of the address space leaves", todo, is_address_space=True)
            )
    return found


def check_room(devices: int | None = None, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> None:
    """Look whether a fleet fits, beside what the process has already; without devices, the libraries of the service.

    Raises: TooLittleMemory: it certainly does not.
    """
    for room in rooms(proc=proc, cgroups=cgroups):
        least = ADDRESS_BYTES_AT_LEAST if room.is_address_space else BYTES_AT_LEAST
        needed_bytes = least if devices is None else devices * BYTES_A_DEVICE
        if needed_bytes > room.free_bytes:
            what = "the service needs" if devices is None else f"a fleet of {devices} devices needs"
            raise TooLittleMemory(
                f"{what} at least {needed_bytes >> 20} MB of memory, but {room.limit} {room.free_bytes >> 20} MB: "
                f"{room.todo}, and start again. Nothing is lost."
            )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that there was no memory for a value or a thread."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, ImportError | RuntimeError) and any(text in str(error).lower() for text in _TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_control_groups(proc: Path, cgroups: Path) -> Iterator[Room]:
    """The room of each control group that the process is in, of version 1 or 2."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if number == "0":
            base, names = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            base = cgroups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = base / path.strip("/")
        for group in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):
                limit, used = (int((group / name).read_text()) for name in names[:2])
                # Cached files give way when memory is needed.
                cached = _numbers(group / "memory.stat").get(names[2], 0)
                free = max(0, limit - used + cached)
                yield Room(
                    free, "the memory limit of its control group leaves", "raise MemoryMax or the container's limit"
                )
            if group == base:
                break


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a file that has a name and a number in each line."""
    return {name: int(number) for name, number, *_ in (line.split() for line in path.read_text().splitlines())}
