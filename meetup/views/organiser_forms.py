"""The organiser's forms: shape only, codes of error by field, everything typed kept."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.validators import ValidationError

from meetup.domain.events import ACCENTS, LONGEST_SLUG, USUAL_WAITING_ROOM_RATE, EventDetails
from meetup.errors import Invalid
from meetup.storage.events import Event, Mode, WaitingRoomUse
from meetup.text_input import clean_line
from meetup.views.forms import FormView, words_of

LONGEST_DESCRIPTION = 20_000
LONGEST_VENUE = 200
LONGEST_ADDRESS = 500
LONGEST_NUMBER = 8
# Beyond these years other systems lose their way: calendar files, and dates at the end of a time zone's table.
FIRST_YEAR, LAST_YEAR = 1970, 2200
TEXTS = ("title", "description", "timezone", "venue", "address", "accent")
TIMES = ("starts_at", "ends_at", "opens_at", "closes_at", "doors_open_at", "doors_close_at")


class WholeNumberField(Field):
    """A whole number from 0 up; empty is None."""

    def __init__(self, code: str, **bound: Any) -> None:
        super().__init__(**bound)
        self.code = code

    def _value(self) -> str:
        return "" if self.data is None else str(self.data)

    def process_formdata(self, valuelist: list[Any]) -> None:
        if not valuelist:
            return
        self.data = None
        text = "".join(valuelist[0].split())
        if text and not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
            raise ValueError(self.code)
        self.data = int(text) if text else None


class LocalTimeField(Field):
    """A date and time on the wall clock of the event's zone, naive; empty is None."""

    def _value(self) -> str:
        return self.data.strftime("%Y-%m-%dT%H:%M") if self.data else ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        if not valuelist:
            return
        self.data = None
        text = valuelist[0].strip()
        self.data = _wall_clock(text) if text else None


def _wall_clock(text: str) -> datetime:
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("bad_time") from error
    if local.tzinfo is not None or not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise ValueError("bad_time")
    return local


class TickField(Field):
    """A box to tick, sent as 1 or 0; nothing sent leaves it as it was."""

    def _value(self) -> str:
        return "1" if self.data else ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        if valuelist:
            self.data = valuelist[0] == "1"


def _at_most(length: int, code: str = "too_long") -> Callable[[Any, Field], None]:
    def check(_form: Any, field: Field) -> None:
        if len(field.data or "") > length:
            raise ValidationError(code)

    return check


def _text(text: str | None) -> str:
    """Return a text of several lines with one kind of line end and nothing that a database refuses to keep."""
    lines = (text or "").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or c.isprintable()).strip()


def _line(text: str | None) -> str:
    return clean_line(text or "")


def _slug(text: str | None) -> str:
    return _line(text).lower()


@lru_cache(maxsize=1)
def time_zones() -> Mapping[str, str]:
    """Return every time zone by its name in small letters."""
    return {name.casefold(): name for name in sorted(available_timezones())}


def _zone(text: str | None) -> str:
    typed = _line(text).replace(" ", "_")
    return time_zones().get(typed.casefold(), typed)


def _known_zone(_form: Any, field: Field) -> None:
    if field.data not in time_zones().values():
        raise ValidationError("unknown_timezone")


def _known_use(_form: Any, field: Field) -> None:
    if field.data not in list(WaitingRoomUse):
        raise ValidationError("unknown_waiting_room")


TICKS = ("has_waitlist", "is_passing_over", "has_late_promotion", "has_re_entry")


class EventForm(FlaskForm):  # type: ignore[misc]
    """The one screen that makes and changes an event; a field that was not sent stays as it was."""

    class Meta:
        """The token is checked by guards.organiser_only, for every form alike."""

        csrf = False

    title = StringField(filters=[_line])
    slug = StringField(filters=[_slug], validators=[_at_most(LONGEST_SLUG, "bad_slug")])
    description = StringField(filters=[_text], validators=[_at_most(LONGEST_DESCRIPTION, "bad_description")])
    starts_at = LocalTimeField()
    ends_at = LocalTimeField()
    timezone = StringField(filters=[_zone], validators=[_known_zone])
    venue = StringField(filters=[_line], validators=[_at_most(LONGEST_VENUE)])
    address = StringField(filters=[_line], validators=[_at_most(LONGEST_ADDRESS)])
    capacity = WholeNumberField("bad_limit")
    venue_limit = WholeNumberField("bad_limit")
    guests = WholeNumberField("bad_guest_limit")
    opens_at = LocalTimeField()
    closes_at = LocalTimeField()
    doors_open_at = LocalTimeField()
    doors_close_at = LocalTimeField()
    has_waitlist = TickField()
    is_passing_over = TickField()
    has_late_promotion = TickField()
    has_re_entry = TickField()
    accent = StringField(filters=[_line])
    waiting_room = StringField(filters=[_line], validators=[_known_use])
    waiting_room_rate = WholeNumberField("bad_waiting_room_rate")

    def details(self, present: EventDetails | None) -> EventDetails:
        """Return what the form says of an event that is `present`, or None for a new one; raise Invalid."""
        self.validate()
        errors: dict[str, list[str]] = {name: list(codes) for name, codes in self.errors.items() if codes}
        moments: dict[str, datetime | None] = {}
        for name in TIMES:
            if "timezone" not in errors and name not in errors:
                moments[name] = self._moment(name, present, errors)
        if "starts_at" not in errors and self.starts_at.data is None:
            errors["starts_at"] = ["missing"]
        starts_at = moments.get("starts_at")
        if errors or starts_at is None:
            raise Invalid(errors)
        return self._details(present.mode if present else Mode.OPEN, {**moments, "starts_at": starts_at})

    def _details(self, mode: Mode, moments: dict[str, Any]) -> EventDetails:
        texts: dict[str, Any] = {name: str(self[name].data) for name in TEXTS}
        return EventDetails(
            capacity=self.capacity.data,
            venue_limit=self.venue_limit.data,
            guests=self.guests.data or 0,
            mode=mode,
            waiting_room=WaitingRoomUse(str(self.waiting_room.data)),
            waiting_room_rate=self.waiting_room_rate.data or 0,
            **{name: self[name].data for name in TICKS},
            **texts,
            **moments,
        )

    def _moment(self, name: str, present: EventDetails | None, errors: dict[str, list[str]]) -> datetime | None:
        field, zone = self[name], ZoneInfo(str(self.timezone.data))
        if field.data is None:
            return None
        if present and field.data == field.object_data and zone.key == present.timezone:
            # The form shows minutes, and an hour that the clock passes twice looks the same both times.
            kept: datetime | None = getattr(present, name)
            return kept
        moment: datetime = field.data.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) != field.data:
            errors[name] = ["bad_time"]
        return moment

    def view(self, errors: Mapping[str, list[str]] | None = None) -> FormView:
        """Return the form for a template: what was typed, and a sentence beside each field that is wrong."""
        typed = {field.name: field.raw_data[0] if field.raw_data else field._value() for field in self}
        typed |= {name: self[name]._value() for name in TICKS}
        return FormView(typed, words_of(errors or {}))


def new_event_form(timezone: str) -> EventForm:
    """Return the form of a new event, filled with what was sent when something was."""
    usual = {"guests": 0, "has_waitlist": True, "has_re_entry": True, "accent": ACCENTS[0]}
    waiting_room = {"waiting_room": WaitingRoomUse.OFF, "waiting_room_rate": USUAL_WAITING_ROOM_RATE}
    return EventForm(data={"timezone": timezone} | usual | waiting_room)


def event_form(present: EventDetails) -> EventForm:
    """Return the form over what stands now, filled with what was sent when something was."""
    zone = ZoneInfo(present.timezone)
    values: dict[str, Any] = dict(vars(present))
    for name in TIMES:
        if values[name] is not None:
            values[name] = values[name].astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    return EventForm(data=values)


def details_of(event: Event, *, capacity: int | None, venue_limit: int | None) -> EventDetails:
    """Return what stands of an event now; its limits live with their counters."""
    names = set(EventDetails.__dataclass_fields__) - {"capacity", "venue_limit", "mode"}
    values = {name: getattr(event, name) for name in names}
    values |= {"mode": Mode(event.mode), "waiting_room": WaitingRoomUse(event.waiting_room)}
    return EventDetails(capacity=capacity, venue_limit=venue_limit, **values)
