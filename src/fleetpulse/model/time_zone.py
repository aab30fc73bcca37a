"""Time zones by their IANA names."""

from zoneinfo import ZoneInfo


def is_timezone(name: str) -> bool:
    """Whether this machine knows the zone, and it means the same on every machine."""
    # ZoneInfo loads these too, but they differ between machines, or count leap seconds, which our time does not.
    if name in {"localtime", "posixrules"} or name.startswith(("right/", "posix/")):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone; no name, or no zone's file; a folder such as `Europe`
        return False
    return True
