"""A node that believes for ever that it holds the lease, and whose transactions do not look: a control.

python serve_without_term.py serve …
"""

import sys

from fleetpulse.__main__ import main
from fleetpulse.catalog import database
from fleetpulse.catalog.lease_records import SqlLeaseRecords
from fleetpulse.pipeline.lease import Lease

if __name__ == "__main__":
    database.check_term = lambda _: None
    SqlLeaseRecords.renew = lambda *_, **__: True  # type: ignore[method-assign]  # the control
    Lease.is_held = property(lambda lease: lease._term is not None)  # type: ignore[method-assign,assignment]  # the control
    Lease._lose = lambda *_, **__: None  # type: ignore[method-assign]  # the control
    sys.exit(main())
