"""Compaction of sample blocks: see next_change."""
