"""How much one question may ask for."""

from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits


def check_cells(limits: QuestionLimits, cells: int, what: str, advice: str = "ask for a longer step") -> None:
    """Raises: OutOfRange: an answer of `cells` figures, described as `what`, is too large."""
    if cells > limits.cells_max:
        raise OutOfRange(f"{cells} {what} are more than {limits.cells_max} (cells_max): {advice}", reason="cells")
