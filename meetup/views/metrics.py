"""Counting every request on its way, and reading from the database what /metrics tells beside that."""

import contextlib
import ipaddress
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from meetup import metrics
from meetup.clock import utc_now
from meetup.domain import waiting_room
from meetup.site import UNHEEDED_PROXY
from meetup.storage import site_figures
from meetup.storage.db import db
from meetup.views.limits import limiter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Figures of the process itself are written down for the others at most so often.
PUBLISHED_EVERY_SECONDS = 1.0
BEGAN_AT = "turnout.began_at"
FORWARDED = "HTTP_X_FORWARDED_FOR"


class Publisher:
    """Writes down what only this process knows of itself, so that any other one can tell it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._publish_at = 0.0

    def publish_now_and_then(self, now: float) -> None:
        """Write the figures down, unless that was done a moment ago."""
        if now >= self._publish_at:
            self._publish_at = now + PUBLISHED_EVERY_SECONDS
            self.publish()

    def publish(self) -> None:
        """Write the figures down."""
        metrics.PROCESS["resident_bytes"].set(metrics.resident_bytes())
        metrics.PROCESS["limits_in_memory"].set(int(limiter._storage_dead))
        pool = db.engine.pool
        if isinstance(pool, QueuePool):
            metrics.PROCESS["database_connections_in_use"].set(pool.checkedout())
            metrics.PROCESS["database_connections_kept"].set(pool.checkedout() + pool.checkedin())
        admission = self._app.extensions.get("turnout_admission")
        if admission is not None:
            figures = admission.figures()
            metrics.PROCESS["work_in_flight"].set(figures["in_flight"])
            metrics.LAG.set(figures["lag_seconds"])


class ProxyWatch:
    """Notes for `doctor` that a proxy stands in front which the settings do not know of."""

    def __init__(self, app: Flask) -> None:
        config = app.extensions["turnout"].config
        self._is_on = config.number("TRUSTED_PROXIES") == 0
        self._note = config.instance_path / UNHEEDED_PROXY

    def note(self, environ: "WSGIEnvironment") -> None:
        """Write it down once for this process, when the header comes from nearby and not from somebody's own whim."""
        if self._is_on and _is_nearby(environ.get("REMOTE_ADDR", "")):
            self._is_on = False
            # Without the note nothing else is wrong.
            with contextlib.suppress(OSError):
                self._note.touch()


def _is_nearby(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def configure(app: Flask) -> None:
    """Count every request of an application, from before all else until its answer is made."""
    publisher = Publisher(app)
    app.extensions["turnout_publisher"] = publisher

    proxy_watch = ProxyWatch(app)

    def begin(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[BEGAN_AT] = time.perf_counter()
        if FORWARDED in environ:
            proxy_watch.note(environ)
        return inner(environ, start_response)

    def end(response: Response) -> Response:
        now = time.perf_counter()
        # One look through the proxy: this runs for every request.
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        began_at = asked.environ.get(BEGAN_AT, now)
        metrics.observe_request(asked.endpoint, asked.method, response.status_code, now - began_at)
        publisher.publish_now_and_then(now)
        return response

    inner = app.wsgi_app
    app.wsgi_app = begin  # type: ignore[method-assign]
    # These run backwards, so this is the last of them.
    app.after_request_funcs.setdefault(None, []).insert(0, end)


class SiteCollector(Collector):
    """What the database tells of the site now. A figure that cannot be read is left out, and `up` says so."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures."""
        families: list[GaugeMetricFamily] = []
        try:
            families += _site_families(db.session())
        except SQLAlchemyError:
            db.session.rollback()
            families.clear()
        yield GaugeMetricFamily("turnout_database_up", "Whether the figures could be read", int(bool(families)))
        yield from families


def _site_families(session: Session) -> list[GaugeMetricFamily]:
    now = utc_now()
    events = site_figures.list_events(session, now)
    slugs = {event.id: event.slug for event in events}
    people = GaugeMetricFamily(
        "turnout_event_people", "People and seats of the events to come, by what is counted", labels=["event", "count"]
    )
    for slug, name, value in site_figures.list_people(session, slugs):
        people.add_metric([slug, name], value)
    behind = GaugeMetricFamily(
        "turnout_search_index_behind", "Registrations that the search index does not have yet", labels=["event"]
    )
    for event_id, slug in slugs.items():
        behind.add_metric([slug], site_figures.count_unindexed(session, event_id))
    return [people, behind, *_outbox_families(session), *_door_families(session, slugs), *_line_families(session)]


def _outbox_families(session: Session) -> list[GaugeMetricFamily]:
    mails = GaugeMetricFamily("turnout_outbox_messages", "Mails that are not sent, by state", labels=["state"])
    for state, count in site_figures.count_unsent(session).items():
        mails.add_metric([state], count)
    age = site_figures.oldest_due_seconds(session, utc_now())
    oldest = GaugeMetricFamily("turnout_outbox_oldest_due_seconds", "How long the longest due mail has been due", age)
    is_stopped = int(site_figures.is_mail_stopped(session))
    return [mails, oldest, GaugeMetricFamily("turnout_mail_stopped", "Whether the mail server refuses us", is_stopped)]


def _door_families(session: Session, slugs: dict[int, str]) -> list[GaugeMetricFamily]:
    queue = GaugeMetricFamily(
        "turnout_phone_queue", "Scans that phones last said they have not sent yet", labels=["event"]
    )
    conflicts = GaugeMetricFamily("turnout_conflicts", "Offline scans that met another entry", labels=["event"])
    for event_id, length in site_figures.sum_queues(session, list(slugs)).items():
        queue.add_metric([slugs[event_id]], length)
    for event_id, count in site_figures.count_conflicts(session, list(slugs)).items():
        conflicts.add_metric([slugs[event_id]], count)
    return [queue, conflicts]


def _line_families(session: Session) -> list[GaugeMetricFamily]:
    line = GaugeMetricFamily("turnout_waiting_room_line", "Browsers that wait for the form", labels=["event"])
    speed = GaugeMetricFamily("turnout_waiting_room_admitted_per_minute", "How fast they move on", labels=["event"])
    figures = waiting_room.list_figures(session, utc_now())
    slugs = site_figures.list_slugs(session, [each.event_id for each in figures])
    for each in figures:
        line.add_metric([slugs[each.event_id]], each.line)
        speed.add_metric([slugs[each.event_id]], each.admitted_per_minute)
    return [line, speed]
