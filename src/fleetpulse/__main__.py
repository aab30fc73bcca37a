"""`python -m fleetpulse` is the same as the `fleetpulse` command."""

import sys

from fleetpulse.cli.main import main

sys.exit(main())
