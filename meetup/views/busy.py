"""The page for those who have to come back: what was typed is kept on it, and it tries again by itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Flask, current_app, render_template, request
from flask_babel import gettext as _
from markupsafe import Markup

from meetup.errors import NotAllowed, ProofNeeded, Refusal
from meetup.views.error_words import refusal_words
from meetup.views.guards import refuse_cross_site

# Not what is meant for one try alone, and no password on any page.
NOT_KEPT = frozenset({"csrf_token", "password", "new_password", "website", "attempt", "proof", "confirm"})
ATTEMPT = "attempt"
MOST_ATTEMPTS = 1000
DEFAULT_WAIT_SECONDS = 2


@dataclass(frozen=True)
class KeptForm:
    """A form to send again to the address of its page: what was typed, and how many times it has come back already."""

    fields: tuple[tuple[str, str], ...]
    attempt: int


def keep_form(sent: Iterable[tuple[str, str]]) -> KeptForm:
    """Return a form as it was sent, ready for the next try."""
    pairs = list(sent)
    typed = dict(pairs).get(ATTEMPT, "")
    before = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= len(str(MOST_ATTEMPTS)) else 0
    fields = tuple((name, value) for name, value in pairs if name not in NOT_KEPT)
    return KeptForm(fields, min(before + 1, MOST_ATTEMPTS))


def is_form_request() -> bool:
    """Tell whether the request is a public form, whose page can send it again."""
    return request.method == "POST" and request.path.startswith(("/e/", "/t/"))


def render_refused_form(error: Refusal) -> str:
    """Return the page for a public form that was refused for now (429, 503)."""
    try:
        refuse_cross_site()
        kept = keep_form(request.form.items(multi=True))
    except NotAllowed:
        # The page sends the form again by itself, and would make another site's form one of ours.
        kept = keep_form(())
    return render_busy_page(error, render_kept(current_app, kept, kept_words()))


def render_busy_page(error: Refusal, kept: Markup | None) -> str:
    """Return the page with a kept form in it, or with none: then the page loads itself again."""
    words = refusal_words(error.code)
    return render_template(
        "errors/proof.html" if isinstance(error, ProofNeeded) else "errors/busy.html",
        heading=words.heading,
        explanation=words.explanation,
        retry_after=getattr(error, "retry_after_seconds", DEFAULT_WAIT_SECONDS),
        kept=kept,
        challenge=error.parameters.get("challenge"),
        may_confirm_by_mail=error.parameters.get("may_confirm_by_mail", False),
    )


def kept_words() -> dict[str, str]:
    """Return the labels of the fields that are shown again, in the language of the request."""
    return {"name": _("Your name"), "email": _("E-mail"), "guests": _("Guests")}


def render_kept(app: Flask, kept: KeptForm, words: Mapping[str, str]) -> Markup:
    """Return what was typed, shown and in hidden fields; needs no request, so that it costs little."""
    template = app.jinja_env.get_template("errors/_kept.html")
    return Markup(template.render(fields=kept.fields, attempt=kept.attempt, words=words))
