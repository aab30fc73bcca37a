"""How many examples a property tries: few in `make test`, many in `make test-thorough`."""

from hypothesis import settings

SHARE = 5
LEAST = 8


def examples(thorough: int, *, least: int = LEAST) -> int:
    """How many of the examples of `make test-thorough` are tried by this run: a fifth of them in `make test`.

    A mistake that a property finds at all, it mostly finds within the first ten examples; what only hundreds of them
    find is left to the thorough run. `least` are tried by any run.
    """
    is_thorough = settings.get_current_profile_name() == "thorough"
    return thorough if is_thorough else min(thorough, max(least, thorough // SHARE))
