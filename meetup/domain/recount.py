"""Counting again what the counters say (rules 1.2)."""

from sqlalchemy.orm import Session

from meetup.storage import recounts


def find_differences(session: Session) -> list[str]:
    """Return one line for each counter that differs from a recount, and each broken promise; empty when all is well."""
    return [
        *_seat_differences(session),
        *_door_differences(session),
        *(f"ticket of registration {id} has more inside than its party" for id in recounts.list_overfull(session)),
        *(f"registration {id} has no ticket or two" for id in recounts.list_without_one_ticket(session)),
        *(f"registration {id} was promised no mail" for id in recounts.list_without_mail(session)),
    ]


def _seat_differences(session: Session) -> list[str]:
    lines = []
    for event_id, name, counted, found in recounts.compare_seats(session):
        if counted != found:
            lines.append(f"event {event_id}: {name} is {counted}, recounted {found}")
    return lines


def _door_differences(session: Session) -> list[str]:
    lines = []
    for event_id, name, counted, found in recounts.compare_door(session):
        if counted != found:
            lines.append(f"event {event_id}: {name} is {counted}, recounted {found}")
    return lines
