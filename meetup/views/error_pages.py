"""From a refusal to its status and its answer: a page for people, problem JSON for programs. The one table."""

import json
import logging

from flask import Flask, Response, make_response, render_template, request
from flask_limiter.errors import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from meetup import errors, metrics
from meetup.storage.db import db, is_storage_trouble
from meetup.views import busy
from meetup.views.error_words import field_words, refusal_words
from meetup.views.limits import seconds_to_wait

log = logging.getLogger(__name__)

STATUSES: dict[type[errors.Refusal], int] = {
    errors.Unauthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Closed: 409,
    errors.Gone: 410,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Busy: 503,
}
HTTP_CODES = {
    400: "bad_request",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
    431: "too_large",
    500: "internal",
}


def configure_error_pages(app: Flask) -> None:
    """Answer every refusal and every failure in the form that its caller reads."""
    app.register_error_handler(errors.Refusal, answer_refusal)
    app.register_error_handler(RateLimitExceeded, _answer_limit)
    app.register_error_handler(OperationalError, _answer_storage)
    app.register_error_handler(InterfaceError, _answer_storage)
    app.register_error_handler(PoolTimeout, lambda error: answer_refusal(errors.Busy()))
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_failure)


def answer_refusal(error: errors.Refusal) -> Response:
    """Return the answer to a refusal."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    response = _answer(status, error)
    retry_after = getattr(error, "retry_after_seconds", None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if status == 401 and _wants_json():
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _answer_limit(error: RateLimitExceeded) -> Response:
    return answer_refusal(errors.TooMany(seconds_to_wait(error)))


def _answer_storage(error: OperationalError | InterfaceError) -> Response:
    if not is_storage_trouble(error):
        return _answer_failure(error)
    log.warning("database trouble: %s", type(error.orig).__name__)
    return answer_refusal(errors.Busy())


def _answer_http(error: HTTPException) -> Response:
    if error.code is not None and 300 <= error.code < 400:
        redirection: Response = make_response(error.get_response())
        return redirection
    status = error.code or 500
    code = "bad_host" if type(error).__name__ == "SecurityError" else HTTP_CODES.get(status, "bad_request")
    response = _answer(status, errors.Refusal(code))
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _answer_failure(error: Exception) -> Response:
    log.error("unexpected failure at %s", request.endpoint, exc_info=error)
    db.session.rollback()
    return _answer(500, errors.Refusal("internal"))


def _wants_json() -> bool:
    if request.path.startswith("/api/"):
        return True
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def _answer(status: int, error: errors.Refusal) -> Response:
    metrics.count_refusal(error.code)
    if _wants_json():
        return problem(status, error)
    response = make_response(_page(status, error), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def problem(status: int, error: errors.Refusal) -> Response:
    """Return an RFC 9457 problem: `code` is stable, the words are in the caller's language."""
    words = refusal_words(error.code)
    body: dict[str, object] = {
        "type": "about:blank",
        "title": str(words.heading),
        "status": status,
        "code": error.code,
        "detail": str(words.explanation),
    }
    if "quarantined" in error.parameters:
        body["quarantined"] = error.parameters["quarantined"]
    if isinstance(error, errors.Invalid):
        body["errors"] = problem_fields(error)
    response = Response(json.dumps(body), status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response


def problem_fields(error: errors.Invalid) -> dict[str, list[str]]:
    """Return what is wrong with each field, in words."""
    return {field: [field_words(code) for code in codes] for field, codes in error.errors.items()}


def _page(status: int, error: errors.Refusal) -> str:
    if status in (429, 503) and busy.is_form_request():
        return busy.render_refused_form(error)
    words = refusal_words(error.code)
    return render_template("errors/error.html", status=status, heading=words.heading, explanation=words.explanation)
