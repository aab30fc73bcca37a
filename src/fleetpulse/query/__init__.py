"""Stage 5, questions -> answers, from live and closed parts together."""
