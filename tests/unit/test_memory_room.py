"""Too little memory is noticed before the start, and told in a sentence."""

from pathlib import Path

import pytest

from fleetpulse.errors import TooLittleMemory
from fleetpulse.memory_room import check_room, is_out_of_memory, rooms

GB = 1 << 30


def machine(folder: Path, *, free_kb: int = 8 << 20, groups: str = "0::/fleet/pulse\n") -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {free_kb} kB\nSwapFree: 0 kB\n")
    (folder / "proc/self/cgroup").write_text(groups)
    return folder / "proc"


def group(folder: Path, *, limit: str, used: int, cached: int, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"{'inactive_file' if version == 2 else 'total_inactive_file'} {cached}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_the_least_room_of_machine_and_control_groups_counts(tmp_path: Path, version: int) -> None:
    groups = "0::/fleet/pulse\n" if version == 2 else "5:cpu,memory:/fleet/pulse\n3:pids:/x\n"
    proc = machine(tmp_path, groups=groups)
    base = tmp_path / "cgroups" / ("" if version == 2 else "memory")
    group(base / "fleet", limit=str(GB), used=GB // 2, cached=GB // 4, version=version)
    group(base / "fleet/pulse", limit="max", used=0, cached=0, version=version)
    free = {room.free_bytes for room in rooms(proc=proc, cgroups=tmp_path / "cgroups")}
    assert {8 * GB, GB * 3 // 4} <= free
    check_room(1_000_000, proc=proc, cgroups=tmp_path / "cgroups")
    with pytest.raises(
        TooLittleMemory, match=r"3000000 devices needs at least 1029 MB .* leaves 768 MB: raise MemoryMax"
    ):
        check_room(3_000_000, proc=proc, cgroups=tmp_path / "cgroups")


def test_a_machine_without_room_is_named(tmp_path: Path) -> None:
    with pytest.raises(TooLittleMemory, match="the machine has left 9 MB"):
        check_room(proc=machine(tmp_path, free_kb=10_000), cgroups=tmp_path)


def test_what_is_not_known_refuses_nothing(tmp_path: Path) -> None:
    check_room(10**9, proc=tmp_path / "none", cgroups=tmp_path)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("can't start new thread"), True),
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (ImportError("no module named x"), False),
        (ValueError("out of memory"), False),
        (None, False),
    ],
)
def test_errors_for_want_of_memory_are_known_also_behind_others(error: Exception | None, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory
    outer = ImportError("cannot import module")
    outer.__cause__ = error
    assert is_out_of_memory(outer) is is_memory
