"""The rules. No Flask, no SQL, no commit: the session and the present moment are passed in.

Downwards: registration, events, check_in > waitlist > outbox, tickets > audit.
"""
