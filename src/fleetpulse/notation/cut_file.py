"""The last bytes of a file that could not be finished: they say why.

Whatever the format of the file, no reader takes them for a row: a CSV file gets a line of one cell, and a Parquet file
has no end. The connection breaks off behind them, too.
"""

CUT = b"\nEXPORT CUT: "


def cut_text(reason: str) -> bytes:
    """What stands at the end of a file that could not be finished."""
    return CUT + " ".join(reason.split()).encode() + b"\n"


def read_cut(tail: bytes) -> str:
    """Why a file ends early, by its last bytes; empty where they do not tell."""
    _, mark, reason = tail.rpartition(CUT)
    return reason.decode(errors="replace").strip() if mark else ""
