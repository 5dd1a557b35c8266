"""What the public forms send: shape only, codes of error by field, everything typed kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meetup.text_input import LONGEST_NAME, BadAddress, EmailAddress, clean_line, parse_email
from meetup.views.error_words import field_words

LONGEST_FORM_KEY = 100
MOST_TYPED_SHOWN = 500


@dataclass(frozen=True)
class FormView:
    """A form as a template shows it: what was typed, and a sentence beside each field that is wrong."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegistrationForm:
    """The parsed public form; `errors` holds codes by field, and the rest is only good when it is empty."""

    typed: Mapping[str, str]
    name: str
    address: EmailAddress | None
    guests: int
    form_key: str | None
    errors: dict[str, list[str]]

    def view(self, errors: Mapping[str, list[str]] | None = None) -> FormView:
        """Return the form for a template, with its own errors or those that a rule found."""
        return FormView(self.typed, words_of(errors or self.errors))


def words_of(errors: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the first error of each field in words."""
    return {name: field_words(codes[0]) for name, codes in errors.items()}


def parse_registration(form: Mapping[str, str]) -> RegistrationForm:
    """Read the registration form: `name`, `email`, `guests`, `form_key`."""
    errors: dict[str, list[str]] = {}
    name = _name(form.get("name", ""), errors)
    address = parse_address(form.get("email", ""), errors)
    guests = _guests(form.get("guests", ""), errors)
    form_key = _form_key(form.get("form_key", ""), errors)
    return RegistrationForm(_typed(form, "name", "email", "guests"), name, address, guests, form_key, errors)


@dataclass(frozen=True)
class WalkInForm:
    """The parsed form of somebody at the door; `address` is None when none was typed."""

    typed: Mapping[str, str]
    name: str
    address: EmailAddress | None
    form_key: str | None
    errors: dict[str, list[str]]

    def view(self, errors: Mapping[str, list[str]] | None = None) -> FormView:
        """Return the form for a template, with its own errors or those that a rule found."""
        return FormView(self.typed, words_of(errors or self.errors))


def parse_walk_in(form: Mapping[str, str]) -> WalkInForm:
    """Read the form of somebody at the door: `name`, `email` if they like, `form_key`."""
    errors: dict[str, list[str]] = {}
    name = _name(form.get("name", ""), errors)
    email = form.get("email", "")
    address = parse_address(email, errors) if email.strip() else None
    form_key = _form_key(form.get("form_key", ""), errors)
    return WalkInForm(_typed(form, "name", "email", "form_key"), name, address, form_key, errors)


@dataclass(frozen=True)
class DetailsForm:
    """The parsed form with which an attendee changes name and address."""

    typed: Mapping[str, str]
    name: str
    address: EmailAddress | None
    errors: dict[str, list[str]]


def parse_details(form: Mapping[str, str], present_name: str, present_email: str) -> DetailsForm:
    """Read a change of name and address; a field that was not sent stays as it is."""
    errors: dict[str, list[str]] = {}
    name = _name(form.get("name", present_name), errors)
    address = parse_address(form.get("email", present_email), errors)
    return DetailsForm(_typed(form, "name", "email"), name, address, errors)


def parse_address(text: str, errors: dict[str, list[str]]) -> EmailAddress | None:
    """Read an address; on a bad one note the error under `email` and return None."""
    try:
        return parse_email(text)
    except BadAddress:
        errors["email"] = ["bad_email"]
        return None


def _name(text: str, errors: dict[str, list[str]]) -> str:
    name = clean_line(text)
    if not name:
        errors["name"] = ["missing_name"]
    elif len(name) > LONGEST_NAME:
        errors["name"] = ["name_too_long"]
    return name


def _form_key(text: str, errors: dict[str, list[str]]) -> str | None:
    form_key = text.strip() or None
    if form_key is not None and (len(form_key) > LONGEST_FORM_KEY or not form_key.isprintable()):
        errors["form_key"] = ["bad_form_key"]
    return form_key


def _guests(text: str, errors: dict[str, list[str]]) -> int:
    text = text.strip()
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        errors["guests"] = ["bad_guests"]
        return 0
    return int(text)


def _typed(form: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: form.get(name, "")[:MOST_TYPED_SHOWN] for name in names}
