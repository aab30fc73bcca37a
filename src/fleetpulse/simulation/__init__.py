"""A fleet for trying and testing: its events are planned, sent over HTTP, and compared with the server's answers.

Nothing here uses the service's own arithmetic, so that a defect cannot agree with itself.
"""
