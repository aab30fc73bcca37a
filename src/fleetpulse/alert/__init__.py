"""Stage 6: facts become alerts, and alerts become messages.

A round takes facts about the fleet as they are at one moment and gives what must be stored: changed alerts, incidents
and messages. All of it is pure, so that a rehearsal over history and a seeded simulation run the same code; storing and
sending are the work of `pipeline`. Nothing is sent before it is stored, so a crash loses no message; one that was sent
when the service crashed is sent again with the same key.
"""
