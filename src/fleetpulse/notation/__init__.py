"""Text to values and back: times, durations, cells of a CSV."""
