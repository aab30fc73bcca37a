"""Stage 2, batch -> durable order. An ack means: the batch is in here, on disk."""
