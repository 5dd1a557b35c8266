"""Commands. Each prints one JSON object on standard output and its words on standard error."""

import json
import sys
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

import click
import flask_migrate
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy.exc import InterfaceError, OperationalError

from meetup import demo, doctor, worker
from meetup.clock import utc_now
from meetup.config import SETTINGS, BadSetting
from meetup.domain import accounts, audit, events, gates, search_indexing
from meetup.domain.events import EventDetails, NewEvent
from meetup.errors import Invalid, Refusal
from meetup.moments import BadMoment, parse_any
from meetup.site import current_site
from meetup.storage.accounts import Account, find_account
from meetup.storage.db import db, is_storage_trouble, transaction
from meetup.storage.events import get_event
from meetup.text_input import BadAddress, EmailAddress, clean_line, parse_email


def configure(app: Flask) -> None:
    """Give the application its commands."""
    for command in (
        create_organiser,
        create_event,
        create_device,
        create_api_token,
        run_demo,
        run_worker,
        index_names,
        settings,
        run_doctor,
    ):
        app.cli.add_command(command)
    # `db upgrade` answers like every other command; Flask-Migrate's own prints nothing.
    database = app.cli.commands["db"]
    assert isinstance(database, click.Group)
    database.add_command(upgrade)


def say(answer: dict[str, Any]) -> None:
    """Print a command's answer."""
    click.echo(json.dumps(answer, ensure_ascii=False))


def refuse(error: Refusal) -> click.ClickException:
    """Return a refusal as a command reports it: one line with its code and the fields, exit code 1."""
    fields = ""
    if isinstance(error, Invalid):
        fields = ": " + "; ".join(f"{name} ({', '.join(codes)})" for name, codes in error.errors.items())
    return click.ClickException(f"{error.code}{fields}")


@click.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Bring the database to the newest schema."""
    try:
        flask_migrate.upgrade()
    except (OperationalError, InterfaceError) as error:
        if not is_storage_trouble(error):
            raise
        words = "the database is in use by others all the time, full or away. Nothing was changed: run this again later"
        raise click.ClickException(words) from error
    with db.engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    say({"revision": revision})


@click.command("create-organiser")
@click.argument("email")
@with_appcontext
def create_organiser(email: str) -> None:
    """Make an account; the password comes on standard input, else one is made and printed this once."""
    address = _address(email)
    given = "" if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    password = given or accounts.new_password()
    try:
        password_hash = accounts.hash_password(password)
        with transaction() as session:
            accounts.create_account(session, address, password_hash, utc_now())
    except Refusal as error:
        raise refuse(error) from error
    answer = {"email": address.email, "sign_in_url": f"{current_site().config.base_url}/organise/sign-in"}
    say(answer if given else answer | {"password": password})


def _address(text: str) -> EmailAddress:
    try:
        return parse_email(text)
    except BadAddress as error:
        raise click.BadParameter(str(error), param_hint="EMAIL") from error


def _account(text: str) -> Account:
    account = find_account(db.session(), _address(text).key)
    if account is None:
        raise click.ClickException(f"no account has the address {text}")
    return account


TIMES = ("starts_at", "ends_at", "opens_at", "closes_at", "doors_open_at", "doors_close_at")


@click.command("create-event")
@click.option("--slug", required=True)
@click.option("--title", required=True)
@click.option("--starts-at", required=True)
@click.option("--ends-at")
@click.option("--timezone", default="Europe/Paris", show_default=True)
@click.option("--opens-at")
@click.option("--closes-at")
@click.option("--doors-open-at")
@click.option("--doors-close-at")
@click.option("--capacity", type=int)
@click.option("--venue-limit", type=int)
@click.option("--guests", type=int, default=0)
@click.option("--mode", type=click.Choice(["open"]), default="open")
@click.option("--no-waitlist", is_flag=True)
@click.option("--organiser")
@with_appcontext
def create_event(slug: str, title: str, timezone: str, organiser: str | None, no_waitlist: bool, **given: Any) -> None:
    """Make an event and publish it."""
    del given["mode"]
    if timezone not in available_timezones():
        raise click.BadParameter("unknown time zone", param_hint="--timezone")
    times = {name: _time(name, given.pop(name), timezone) for name in TIMES}
    details = EventDetails(title=clean_line(title), timezone=timezone, has_waitlist=not no_waitlist, **times, **given)
    owner_id = _account(organiser).id if organiser else None
    try:
        with transaction() as session:
            new = NewEvent(slug, details, owner_id, is_published=True)
            event = events.create_event(session, new, current_site().vault, audit.SYSTEM, utc_now())
            event_number = event.event_number
    except Refusal as error:
        raise refuse(error) from error
    say({"slug": slug, "event_number": event_number, "url": f"{current_site().config.base_url}/e/{slug}"})


def _time(name: str, text: str | None, timezone: str) -> Any:
    if text is None:
        return None
    try:
        moment: datetime = parse_any(text, timezone)
    except BadMoment as error:
        option = "--" + name.replace("_", "-")
        raise click.BadParameter("write 2026-11-22T18:30 or RFC 3339", param_hint=option) from error
    return moment


@click.command("create-device")
@click.argument("slug")
@click.option("--gate", required=True, help="The gate's name; made when there is none of that name.")
@click.option("--supervisor", is_flag=True)
@with_appcontext
def create_device(slug: str, gate: str, supervisor: bool) -> None:
    """Make a device at a gate, with its token and a link that pairs a phone."""
    now = utc_now()
    try:
        with transaction() as session:
            event = get_event(session, slug)
            at_gate = gates.create_gate(session, event, clean_line(gate), audit.SYSTEM, now)
            new = gates.create_device(session, event, at_gate, audit.SYSTEM, now, is_supervisor=supervisor)
            code = gates.create_pairing(session, new.device, now)
            public_id = new.device.public_id
    except Refusal as error:
        raise refuse(error) from error
    pair_url = f"{current_site().config.base_url}/door/pair/{code}"
    say({"id": public_id, "token": new.token, "pair_url": pair_url})


@click.command("create-api-token")
@click.argument("email")
@with_appcontext
def create_api_token(email: str) -> None:
    """Make a bearer token that acts for an account, and print it this once."""
    account = _account(email)
    with transaction() as session:
        token = accounts.create_api_token(session, account, utc_now())
    say({"token": token})


@click.command("demo")
@with_appcontext
def run_demo() -> None:
    """Make the demo event, or print its addresses again; the pairing link is new each time."""
    try:
        say(demo.make_demo())
    except Refusal as error:
        raise refuse(error) from error


@click.command("worker")
@click.option("--once", is_flag=True, help="Deliver what is due now, then end.")
@with_appcontext
def run_worker(once: bool) -> None:
    """Deliver the outbox and do what is due, until stopped."""
    try:
        say(worker.run(once=once))
    except BadSetting as error:
        raise click.ClickException(str(error)) from error


@click.command("search-index")
@click.option("--rebuild", is_flag=True, help="Throw the index away first.")
@with_appcontext
def index_names(rebuild: bool) -> None:
    """Bring the search index of every event up to now; the worker otherwise keeps it near."""
    if rebuild:
        with transaction() as session:
            search_indexing.rebuild(session)
    indexed = 0
    for event_id in search_indexing.list_events(db.session()):
        while step := search_indexing.read_step(db.session(), event_id):
            with transaction() as session:
                search_indexing.write_step(session, step)
            indexed += len(step.entries)
    say({"indexed": indexed})


@click.command("settings")
@with_appcontext
def settings() -> None:
    """List every setting: meaning, unit, default and the value in force (secrets not shown)."""
    config = current_site().config
    say(
        {
            each.name: {
                "meaning": each.meaning,
                "unit": each.unit,
                "default": each.default,
                "value": "(not shown)" if each.is_secret and config[each.name] else config[each.name],
            }
            for each in SETTINGS
        }
    )


@click.command("doctor")
@with_appcontext
def run_doctor() -> None:
    """Look at database, limits, mail, clock and secrets, and say what to mend; exit code 1 when something is wrong."""
    report = doctor.examine()
    say(report)
    if not report["ok"]:
        raise SystemExit(1)
