"""What the machine must have for a cluster."""

import shutil

import pytest

from fleetpulse.settings import entries
from postgres_server import is_missing

CLUSTER = [
    pytest.mark.skipif(
        not {"journal", "catalog", "node_name"} <= {entry.name for entry in entries()}, reason="needs a shared catalog"
    ),
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy (Debian: haproxy)"),
    pytest.mark.skipif(is_missing() != "", reason=is_missing()),
]
