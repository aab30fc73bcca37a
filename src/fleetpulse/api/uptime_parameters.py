"""The parameters of questions about uptime: by which formula and measure, and of how many devices."""

from typing import Annotated

from litestar.openapi.spec.enums import OpenAPIType

from fleetpulse.api.parameters import (
    LIMIT_HIGHEST,
    limit_parameter,
    query_parameter,
    read_count,
    read_percentage,
    read_truth,
)
from fleetpulse.errors import OutOfRange
from fleetpulse.model.uptime import FORMULA, FORMULAS, MEASURES, SLOT_FORMULA, Measure

WORST_DEFAULT = 20


def read_formula(
    formula: Annotated[
        str,
        query_parameter(
            f"{FORMULA}; or `uptime/1`, by slots of minutes, which only this release still answers",
            enum=[FORMULA, "uptime/1", SLOT_FORMULA],
            default=FORMULA,
        ),
    ] = FORMULA,
) -> str:
    """By which formula uptime is computed. Raises: OutOfRange."""
    found = FORMULAS.get(formula)
    if found is None:
        raise OutOfRange(f"formula must be one of {', '.join(FORMULAS)}, not `{formula[:50]}`", reason="formula")
    return found


def read_mean(
    mean: Annotated[
        str,
        query_parameter(
            "the mean of the devices' uptimes too, in `mean_uptime`", type=OpenAPIType.BOOLEAN, default=False
        ),
    ] = "false",
) -> bool:
    """Whether the mean over devices is wanted. Raises: Malformed."""
    return read_truth("mean", mean)


def read_measure(
    on: Annotated[
        str, query_parameter("which uptime, or availability", enum=list(MEASURES), default=MEASURES[0])
    ] = MEASURES[0],
) -> Measure:
    """Which measure is meant. Raises: OutOfRange."""
    for measure in MEASURES:
        if measure == on:
            return measure
    raise OutOfRange(f"`on` must be one of {', '.join(MEASURES)}, not `{on[:50]}`", reason="on")


def read_below(
    below: Annotated[
        str | None,
        query_parameter(
            "only devices below this, in per cent", type=OpenAPIType.NUMBER, minimum=0, maximum=100, examples=[99.9]
        ),
    ] = None,
) -> float | None:
    """The promise that the devices miss. Raises: Malformed; OutOfRange."""
    return read_percentage("below", below)


def read_limit(limit: Annotated[str, limit_parameter(WORST_DEFAULT, LIMIT_HIGHEST)] = str(WORST_DEFAULT)) -> int:
    """How many devices are listed. Raises: OutOfRange."""
    return read_count(limit, LIMIT_HIGHEST)
