"""A fleet for trying and testing: what its devices will say is planned, said over HTTP, and held against the answers.

Nothing here uses the service's own arithmetic, so that a defect cannot agree with itself.
"""
