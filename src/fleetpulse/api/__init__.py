"""The HTTP edge: thin handlers, shapes and documents.

What the front door answers by itself stands here again, for connections that were handed over.
"""
