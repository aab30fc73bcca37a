"""What people decide (devices, metrics, pauses, maintenance windows), and the manifest of the files that hold history.

In come decisions and manifests, out come the same, and the roster: labels as columns for questions about many devices.
Every change whose call returned survives a crash. The roster does not: it is read from the catalog again at start.
"""
