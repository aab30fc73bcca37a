"""The nouns: plain values and their invariants, no behaviour beyond them."""
