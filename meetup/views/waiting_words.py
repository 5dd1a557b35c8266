"""What the waiting page says, in words: by the server for the first look, by its script for every later one."""

import math
from enum import StrEnum

from flask_babel import gettext as _

from meetup.i18n import number


class Loss(StrEnum):
    """Why a browser that shows a place stands at the end of the line all the same."""

    REFUSED = "refused"
    LAPSED = "lapsed"
    SPENT = "spent"


def line_words() -> dict[str, str]:
    """Return the sentences of the line; `{count}` and `{time}` are filled in where they are shown."""
    return {
        "less": _("Less than a minute to go"),
        "minute": _("About a minute to go"),
        "minutes": _("About {count} minutes to go"),
        "hour": _("About an hour to go"),
        "hours": _("About {count} hours to go"),
        "unknown": _("We cannot say yet how long it takes"),
        "turn": _("It is your turn"),
        "nobody_ahead": _("Nobody is ahead of you."),
        "one_ahead": _("One person is ahead of you."),
        "many_ahead": _("{count} people are ahead of you."),
        "one_here": _("You are the first one here."),
        "many_here": _("{count} people are here."),
        "drawing": _("The lot is being drawn…"),
        "in_line": _("You are in line"),
        "your_place": _("your place"),
        "until_opening": _("until registration opens"),
    }


def estimate(seconds: float | None, words: dict[str, str]) -> str:
    """Return how long it takes: rounded up, the more the longer, so that it is no promise that breaks."""
    if seconds is None:
        return words["unknown"]
    if seconds < 50:
        return words["less"]
    if seconds < 90:
        return words["minute"]
    minutes = math.ceil(seconds / 60)
    if minutes > 10:
        minutes = math.ceil(minutes / 5) * 5
    if minutes < 60:
        return words["minutes"].replace("{count}", number(minutes))
    hours = math.ceil(minutes / 60)
    return words["hour"] if hours == 1 else words["hours"].replace("{count}", number(hours))


def ahead_words(ahead: int, words: dict[str, str]) -> str:
    """Return how many are ahead."""
    if ahead < 2:
        return words["one_ahead" if ahead else "nobody_ahead"]
    return words["many_ahead"].replace("{count}", number(ahead))


def here_words(people: int, words: dict[str, str]) -> str:
    """Return how many wait for the opening."""
    return words["one_here"] if people < 2 else words["many_here"].replace("{count}", number(people))


def countdown(seconds: float) -> str:
    """Return minutes and seconds as a clock shows them."""
    minutes, rest = divmod(max(0, math.ceil(seconds)), 60)
    return f"{minutes}:{rest:02}"


def loss_words(loss: Loss | None) -> str:
    """Return why a place was lost, in a sentence; empty when none was."""
    if loss is None:
        return ""
    sentences: dict[Loss, str] = {
        Loss.REFUSED: _(
            "The place that this browser showed is not valid, or too old. You have a new one at the end of the line."
        ),
        Loss.LAPSED: _(
            "Your turn was not used in time and went to somebody else. You have a new place at the end of the line."
        ),
        Loss.SPENT: _(
            "Your turn was used for a registration. For another one you have a new place at the end of the line."
        ),
    }
    return sentences[loss]
