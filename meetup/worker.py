"""The worker: delivers the outbox and goes on with what a transaction of the site left to do."""

import logging
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from flask import Flask, current_app
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.config import BadSetting, Config
from meetup.domain import outbox as rules
from meetup.domain import search_indexing, waitlist
from meetup.domain.outbox import RetryPlan
from meetup.errors import Busy
from meetup.key_vault import WrongSecret
from meetup.mail_failures import MailFailure, OwnFault, PermanentFailure, TemporaryFailure
from meetup.mail_message import ascii_address, split_sender
from meetup.mailer import Transport, open_transport
from meetup.message_rendering import render_message
from meetup.site import current_site
from meetup.storage import counters, events, outbox
from meetup.storage.db import db, storage_errors, transaction
from meetup.storage.outbox import LeasedMessage

log = logging.getLogger(__name__)

CLAIM = 50
FRESH_SECONDS = 1.0
IDLE_SECONDS = 1.0
OWN_FAULT_PAUSE_SECONDS = 60
SEEN_NOTE = "worker_seen"
STOPPED_NOTE = "mail_stopped"
SEEN_EVERY = timedelta(seconds=10)


class Worker:
    """One delivering process: a transport, a lease that is renewed while it lives, and a wish to stop."""

    def __init__(self, app: Flask, config: Config) -> None:
        self._app = app
        self._transport, self._sender = _open(config)
        self._lease = timedelta(seconds=max(1, config.number("MAIL_LEASE_SECONDS")))
        self._first_wait_seconds = max(1, config.number("MAIL_RETRY_SECONDS"))
        self._stop = threading.Event()
        self._indexer = search_indexing.Indexer()
        self._seen_at = utc_now() - SEEN_EVERY
        self._paused_until = utc_now()
        self._token: str | None = None
        self._is_lease_lost = False
        self._is_note_clear = False
        self.counts = {"sent": 0, "failed": 0, "retried": 0, "seated": 0}

    def stop(self, *_signal: object) -> None:
        """Ask the worker to end after the mail in hand."""
        self._stop.set()

    def run(self, *, once: bool) -> None:
        """Work until stopped, or until nothing is due now."""
        while not self._stop.is_set():
            try:
                with storage_errors():
                    has_worked = self._round()
            except Busy:
                db.session.rollback()
                log.warning("the database is busy or away; trying again")
                has_worked = False
            if once and not has_worked:
                break
            if not has_worked:
                self._stop.wait(IDLE_SECONDS)
        self._transport.close()

    def _round(self) -> bool:
        """Do what is due now; tell whether there was anything."""
        self._say_seen()
        seated = self._seat_waiting()
        self.counts["seated"] += seated
        has_indexed = self._index()
        return self._deliver() or seated > 0 or has_indexed

    def _say_seen(self) -> None:
        now = utc_now()
        if now - self._seen_at >= SEEN_EVERY:
            self._seen_at = now
            with transaction() as session:
                outbox.write_note(session, SEEN_NOTE, "", now)

    def _seat_waiting(self) -> int:
        """Go on where a raise of the capacity was cut off (rules 2.6); return how many were seated."""
        seated = 0
        for event_id in counters.list_events_with_free_seats_and_waitlist(db.session()):
            with transaction() as session:
                event = events.get_event_by_id(session, event_id)
                seated += waitlist.seat_waiting(session, event, utc_now())
        db.session.rollback()
        return seated

    def _index(self) -> bool:
        """Take the search index a step on in each event where much has changed; tell whether there was one."""
        behind = self._indexer.list_behind(db.session())
        for event_id in behind:
            step = search_indexing.read_step(db.session(), event_id)
            if step is not None:
                with transaction() as session:
                    search_indexing.write_step(session, step)
        db.session.rollback()
        return bool(behind)

    def _deliver(self) -> bool:
        """Lease what is due and send it; tell whether anything was taken off the outbox."""
        self._end_lease()
        now = utc_now()
        if now < self._paused_until:
            return False
        self._token = token = secrets.token_hex(16)
        self._is_note_clear = False
        with transaction() as session:
            claimed = outbox.claim_due(session, lease_token=token, lease_until=now + self._lease, now=now, limit=CLAIM)
            is_idle = not claimed
        if is_idle:
            self._token = None
            return False
        with self._lease_kept(token):
            has_worked = self._deliver_leased(token)
        self._end_lease()
        return has_worked

    def _deliver_leased(self, token: str) -> bool:
        """Send what the lease holds; tell whether to go on, which is not so when stopped or when nothing went."""
        has_worked = False
        for leased in self._leased_messages(token):
            if self._stop.is_set() or not self._deliver_one(leased, token):
                return has_worked and not self._stop.is_set()
            has_worked = True
        return has_worked

    def _leased_messages(self, token: str) -> Iterator[LeasedMessage]:
        """Yield what the lease still holds, and read it again when it is no longer what the database says.

        Reading once for many mails is what makes them cheap. One second is short enough for a mail to say how
        things stand, and no lease runs out within a third of its time.
        """
        longest = min(FRESH_SECONDS, self._lease.total_seconds() / 3)
        while messages := outbox.read_leased(db.session(), token):
            db.session.rollback()
            read_at = time.monotonic()
            for leased in messages:
                yield leased
                if self._is_lease_lost or time.monotonic() - read_at > longest:
                    self._is_lease_lost = False
                    break

    def _end_lease(self) -> None:
        """Give back what was leased and not sent, also when the database was away meanwhile and has returned."""
        if self._token is not None:
            with transaction() as session:
                outbox.release(session, self._token, max(utc_now(), self._paused_until))
            self._token = None

    @contextmanager
    def _lease_kept(self, token: str) -> Iterator[None]:
        """Renew the lease from a thread of its own while mails are sent, however slow the server is.

        So another worker takes over only from one that died (rules 3.4).
        """
        is_done = threading.Event()

        def renew() -> None:
            with self._app.app_context():
                while not is_done.wait(self._lease.total_seconds() / 3):
                    try:
                        with transaction() as session:
                            outbox.renew_lease(session, token, utc_now() + self._lease)
                    except Busy:
                        log.warning("the lease could not be renewed; trying again")

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def _deliver_one(self, leased: LeasedMessage, token: str) -> bool:
        """Send one mail and write down what became of it; False when the queue must stop (rules 3.3)."""
        try:
            self._send(leased)
        except OwnFault as error:
            log.error("mail stopped: %s", error.reason)
            self._pause(error.reason)
            return False
        except MailFailure as error:
            self._note_failure(leased, token, error)
            return True
        self._write_down(lambda session: self._note_sent(session, leased.message.id, token))
        self._is_note_clear = True
        self.counts["sent"] += 1
        return True

    def _note_sent(self, session: Session, id: int, token: str) -> None:
        self._is_lease_lost = not outbox.finish(session, id, token, rules.after_success(utc_now()))
        if not self._is_note_clear:
            outbox.write_note(session, STOPPED_NOTE, "", utc_now())

    def _write_down(self, write: Callable[[Session], None]) -> None:
        """Write what the server said of a mail, again and again while the database is busy or away.

        Giving up would send the mail twice. Raises Busy when the worker has to stop first.
        """
        while True:
            try:
                with transaction() as session:
                    write(session)
                return
            except Busy:
                log.warning("the database is busy or away: what became of a mail waits to be written")
                if self._stop.wait(IDLE_SECONDS):
                    raise

    def _send(self, leased: LeasedMessage) -> None:
        try:
            mail = render_message(leased)
            to_address = ascii_address(leased.message.to_address)
        except WrongSecret as error:
            raise OwnFault("SECRET_KEY is not the one with which the events' keys were stored") from error
        except ValueError as error:
            raise PermanentFailure(f"the mail could not be made: {error}") from error
        # Nothing is held open while the server takes its time.
        db.session.rollback()
        self._transport.send(mail, self._sender, to_address)

    def _note_failure(self, leased: LeasedMessage, token: str, error: MailFailure) -> None:
        values = rules.after_permanent_failure(error.reason)
        if isinstance(error, TemporaryFailure):
            plan = RetryPlan(self._first_wait_seconds, random.random())
            values = rules.after_temporary_failure(leased.message, leased.event, error.reason, plan, utc_now())

        def write(session: Session) -> None:
            self._is_lease_lost = not outbox.finish(session, leased.message.id, token, values)

        self._write_down(write)
        self.counts["failed" if values["state"] == outbox.MessageState.FAILED else "retried"] += 1

    def _pause(self, reason: str) -> None:
        """Leave the server alone for a while, and tell the organisers why nothing goes out."""
        self._paused_until = utc_now() + timedelta(seconds=OWN_FAULT_PAUSE_SECONDS)
        with transaction() as session:
            outbox.write_note(session, STOPPED_NOTE, reason, utc_now())


def _open(config: Config) -> tuple[Transport, str]:
    """Return the way out for mails and the envelope's sender; raise BadSetting where either cannot work."""
    try:
        sender = ascii_address(split_sender(config["MAIL_FROM"])[1])
    except ValueError as error:
        raise BadSetting(f"MAIL_FROM cannot send mail: {error}") from error
    try:
        return open_transport(config["MAIL_URL"]), sender
    except ValueError as error:
        raise BadSetting(f"MAIL_URL cannot be used: {error}") from error


def run(*, once: bool) -> dict[str, Any]:
    """Deliver the outbox until stopped, or what is due now; return how many mails were sent, failed and retried."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    worker = Worker(app, current_site().config)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, worker.stop)
        signal.signal(signal.SIGINT, worker.stop)
    worker.run(once=once)
    return worker.counts
