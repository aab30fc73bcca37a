"""Text to values and back: times, durations, cells of a CSV. Pure functions: nothing here is stored or sent."""
