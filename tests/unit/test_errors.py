import re

from fleetpulse import access_errors, catalog_away, errors

CLASSES = [
    kind
    for module in (errors, access_errors, catalog_away)
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
]


def test_the_tree_that_is_drawn_is_the_tree_of_the_classes() -> None:
    drawn: list[tuple[str, str]] = []
    ancestors: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│ ├└─]*)([A-Z]\w+)", line)
        if match and ("─" in match[1] or match[2] == "FleetpulseError"):
            depth = len(match[1]) // 3
            ancestors[depth:] = [match[2]]
            drawn.append((match[2], ancestors[depth - 1] if depth else "Exception"))
    assert sorted(drawn) == sorted((kind.__name__, kind.__bases__[0].__name__) for kind in CLASSES)


def test_the_tree_shows_the_status_of_every_answer() -> None:
    for kind in CLASSES:
        if hasattr(kind, "status"):
            assert re.search(rf"{kind.__name__} .* {kind.status}$", errors.__doc__ or "", re.MULTILINE), kind
