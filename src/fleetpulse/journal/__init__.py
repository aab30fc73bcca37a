"""Stage 2, from batches to a durable order.

In come event batches, out come journal entries (bytes) at positions 1, 2, 3, …. An acknowledgement to a device means
that its batch is in here, on disk: after a crash or a power cut every entry whose `append` returned is still there.
"""
