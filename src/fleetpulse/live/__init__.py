"""Stage 3, from journal entries to what is true now.

In come event columns in the order of the journal, out come the figures and reception gaps of devices, and frozen
columns for a checkpoint. Nothing here survives a crash: at the next start it is rebuilt from the last snapshot and the
entries behind it.
"""
