"""The nouns: plain values with the rules that make them valid. They read no clock, disk or network."""
