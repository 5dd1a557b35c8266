"""The routes that no guard stands before, each with its reason."""

THE_PUBLIC = "anybody may see it"
OWN_KEY = "the key in the address is the right to it"
SIGNING_IN = "this is how one gets in"
ASKS_ITSELF = "it takes a session, a device or an API token, and asks guards.watcher_event"
PUBLIC = {
    "static": THE_PUBLIC,
    "public.home": THE_PUBLIC,
    "public.event": THE_PUBLIC,
    "public.calendar": THE_PUBLIC,
    "public.sent": THE_PUBLIC,
    "public.resend_form": THE_PUBLIC,
    "public.resend": THE_PUBLIC,
    "registration.register": THE_PUBLIC,
    "waiting_room.show_state": THE_PUBLIC,
    "waiting_room.show_place": THE_PUBLIC,
    "walk_in.form": THE_PUBLIC,
    "walk_in.ask": THE_PUBLIC,
    "tickets.show": OWN_KEY,
    "tickets.show_json": OWN_KEY,
    "tickets.show_png": OWN_KEY,
    "tickets.show_svg": OWN_KEY,
    "tickets.show_calendar": OWN_KEY,
    "tickets.show_pdf": OWN_KEY,
    "tickets.cancel": OWN_KEY,
    "verification.verify": OWN_KEY,
    "tickets.edit_form": OWN_KEY,
    "tickets.edit": OWN_KEY,
    "door.app": "an unpaired phone is told what to do",
    "door.service_worker": THE_PUBLIC,
    "door.file": THE_PUBLIC,
    "door.pairing": OWN_KEY,
    "door.pair": OWN_KEY,
    "live.headcount": ASKS_ITSELF,
    "live.stream": ASKS_ITSELF,
    "accounts.sign_in_form": SIGNING_IN,
    "accounts.sign_in": SIGNING_IN,
    "operations.healthz": "load balancers ask without a name",
    "operations.readyz": "load balancers ask without a name",
    "operations.metrics": "it asks for loopback or its token itself",
}
