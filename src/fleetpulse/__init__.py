"""fleetpulse watches a fleet of edge devices: durable heartbeats in, exact uptime out."""

__version__ = "0.1.0"
