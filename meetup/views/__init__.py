"""HTTP in, HTTP out. The list of blueprints."""

from meetup.views import (
    accounts,
    api_door,
    door,
    live,
    operations,
    organiser_events,
    organiser_gates,
    organiser_messages,
    organiser_registrations,
    public,
    registration,
    tickets,
)

BLUEPRINTS = (
    public.bp,
    registration.bp,
    tickets.bp,
    door.bp,
    api_door.bp,
    live.bp,
    accounts.bp,
    organiser_events.bp,
    organiser_registrations.bp,
    organiser_gates.bp,
    organiser_messages.bp,
    operations.bp,
)
