"""Our own counters and logs. A device's figures are metrics; ours are telemetry."""
