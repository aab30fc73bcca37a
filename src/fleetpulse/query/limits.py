"""How much one question may ask for."""

from fleetpulse.errors import OutOfRange


def check_cells(cells: int, what: str, *, cells_max: int, advice: str = "ask for a longer step") -> None:
    """Raises: OutOfRange: an answer of `cells` figures, described as `what`, is too large."""
    if cells > cells_max:
        raise OutOfRange(f"{cells} {what} are more than {cells_max} (cells_max): {advice}", reason="cells")
