"""Stage 1, from bytes to trusted, bounded batches of events.

In come connections and files that people write (devices.csv, metrics.json); out go event batches, which wait in the
intake for the journal, and checked devices and definitions. Nothing here survives a crash, and nothing here was
acknowledged.
"""
