"""The command: one file a group, thin."""
