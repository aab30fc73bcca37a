"""Stage 3, entries -> what is true now: numpy columns indexed by device number, a pure function of the journal."""
