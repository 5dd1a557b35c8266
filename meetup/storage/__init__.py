"""Tables, queries and the transaction. Every table module is imported here, so that migrations see it."""

from meetup.storage import accounts, audit, clicks, counters, db, events, outbox, registrations, scans

__all__ = ["accounts", "audit", "clicks", "counters", "db", "events", "outbox", "registrations", "scans"]
