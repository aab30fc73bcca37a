"""Stage 1, bytes -> trusted, bounded batch: front door, decoding, bulk, limits of the edge."""
