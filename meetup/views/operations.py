"""For whoever runs the site: is the process up, can it serve, what does it count."""

import hmac

from flask import Blueprint, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from meetup import metrics as counts
from meetup.errors import NotFound
from meetup.site import current_site
from meetup.storage.db import db
from meetup.views.guards import bearer_token
from meetup.views.metrics import SiteCollector

bp = Blueprint("operations", __name__)

LOOPBACK = ("127.0.0.1", "::1")


@bp.get("/healthz")
def healthz() -> Response:
    """Say that the process is up."""
    return jsonify({"status": "up"})


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether the site can serve: 503 when the database cannot be read or has not been migrated."""
    try:
        db.session.execute(text("SELECT version_num FROM alembic_version")).one()
    except SQLAlchemyError:
        db.session.rollback()
        return jsonify({"status": "not ready", "database": "not readable"}), 503
    return jsonify({"status": "ready", "database": "readable"}), 200


@bp.get("/metrics")
def metrics() -> Response:
    """Return Prometheus text to this machine, or to who has the token; to others it is not there."""
    token = current_site().config["METRICS_TOKEN"]
    has_token = bool(token) and hmac.compare_digest((bearer_token() or "").encode(), token.encode())
    if request.remote_addr not in LOOPBACK and not has_token:
        raise NotFound
    current_app.extensions["turnout_publisher"].publish()
    return Response(counts.render(SiteCollector()), content_type=CONTENT_TYPE_LATEST)
