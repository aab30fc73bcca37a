"""Commands are parsed as in a process of their own."""

import pytest


@pytest.fixture(autouse=True)
def parsed_as_alone(without_pydantic: None) -> None:
    """See `without_pydantic`."""
