"""The mathematics: pure functions on values and arrays, without clock, disk or network."""
