"""The mathematics: pure functions on values and arrays."""
