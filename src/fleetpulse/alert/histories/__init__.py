"""What rules would have found over stored history: when the conditions of subjects changed, by kinds of rules."""
