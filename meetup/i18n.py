"""The language of an answer, and dates, numbers and times in it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, get_timezone_name
from babel.numbers import format_decimal
from flask import g, has_request_context, request
from flask_babel import Babel, get_locale

from meetup.site import current_site

LOCALES = {"en": "English", "fr": "Français"}
LOCALE_COOKIE = "locale"
LOCALE_PARAMETER = "lang"

babel = Babel()


def select_locale() -> str:
    """Choose: what was asked for by the switch, then what the ticket or the form says, then the browser's wish."""
    default = current_site().config["DEFAULT_LOCALE"]
    if not has_request_context():
        return default
    # Each of these takes a while to read, and most requests that come by the thousand carry none of them.
    environ = request.environ
    asked = request.args.get(LOCALE_PARAMETER) if environ.get("QUERY_STRING") else None
    kept = request.cookies.get(LOCALE_COOKIE) if "HTTP_COOKIE" in environ else None
    for wish in (asked, kept, g.get("registration_locale")):
        if wish in LOCALES:
            return str(wish)
    return request.accept_languages.best_match(LOCALES, default) if "HTTP_ACCEPT_LANGUAGE" in environ else default


def current_locale() -> str:
    """Return the code of the language in use: en or fr."""
    locale = get_locale()
    return locale.language if locale else "en"


def long_date(moment: datetime, timezone: str) -> str:
    """Return a day in full: Saturday 22 November 2026."""
    local = moment.astimezone(ZoneInfo(timezone))
    pattern = "EEEE d MMMM y"
    return format_date(local.date(), pattern, locale=current_locale())


def time_of_day(moment: datetime, timezone: str) -> str:
    """Return a time of day: 18:30."""
    return format_time(moment.astimezone(ZoneInfo(timezone)), "HH:mm", locale=current_locale())


def date_and_time(moment: datetime, timezone: str) -> str:
    """Return a short date with the time: 22 Nov 2026, 18:30."""
    local = moment.astimezone(ZoneInfo(timezone))
    # Babel would turn the moment back into UTC, so it gets the wall clock without its zone.
    return format_datetime(local.replace(tzinfo=None), "d MMM y, HH:mm", locale=current_locale())


def zone_name(moment: datetime, timezone: str) -> str:
    """Return the name of the zone at a moment as people say it: Central European Standard Time."""
    return get_timezone_name(moment.astimezone(ZoneInfo(timezone)), locale=current_locale())


def number(value: int) -> str:
    """Return a whole number with its thousands set apart."""
    return format_decimal(value, locale=current_locale())
