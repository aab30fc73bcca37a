"""What a command prints of the parts of an answer."""

import io

from fleetpulse.cli.tables import Part, show


def printed(*parts: Part) -> str:
    """The text, without colours."""
    file = io.StringIO()
    show(*parts, file=file)
    return file.getvalue()
