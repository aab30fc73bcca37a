"""Fuzz one target with atheris: `python tests/fuzz/run.py TARGET [flags of libFuzzer]`.

It goes on until it finds something, or for so many seconds as `-max_total_time=` says.
What it finds is written to a file `crash-…` in the current folder, and run again by naming the file as a flag.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
with atheris.instrument_imports(include=["fleetpulse"], enable_loader_override=False):
    from fuzz.targets import TARGETS


def _quoted(word: bytes) -> str:
    """A word as dictionaries of libFuzzer have it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


def main() -> None:
    name, *flags = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            Path(folder, f"seed-{number}").write_bytes(seed)
        words = Path(folder).with_suffix(".words")
        words.write_text("\n".join(_quoted(word) for word in target.words))
        are_files = any(not flag.startswith("-") for flag in flags)
        corpus = [] if are_files else [folder]
        atheris.Setup([sys.argv[0], f"-dict={words}", "-timeout=10", "-rss_limit_mb=1024", *flags, *corpus], target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
