"""Senders: each tries once to hand a message to a receiver of its kind, within a time, and says what came of it.

They block, and run in threads of `pipeline/deliveries.py`, which decides what is sent when. What they may connect to is
in `addresses.py`: a receiver's URL is the word of whoever declared it, so it must not open the own network to them.
"""
