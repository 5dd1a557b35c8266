"""Signing in and out, and changing the password."""

import secrets

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import accounts as rules
from meetup.errors import Invalid
from meetup.site import current_site
from meetup.storage import accounts
from meetup.storage.accounts import Account
from meetup.storage.db import db, transaction
from meetup.text_input import BadAddress, parse_email
from meetup.views import limits
from meetup.views.error_words import field_words
from meetup.views.forms import FormView, words_of
from meetup.views.guards import (
    SESSION_COOKIE,
    cookie_name,
    delete_cookie,
    find_organiser,
    local_path,
    organiser_only,
    private,
    refuse_cross_site,
    set_cookie,
)

bp = Blueprint("accounts", __name__, url_prefix="/organise")

KNOWN_BROWSER_COOKIE = "turnout_known"
KNOWN_BROWSER_SECONDS = 180 * 24 * 3600
SESSION_SECONDS = int(rules.SESSION_LASTS.total_seconds())


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/sign-in")
def sign_in_form() -> str | BaseResponse:
    """Show the sign-in form; somebody signed in already goes on."""
    if find_organiser() is not None:
        return redirect(_next_url(), code=303)
    return _render_sign_in(FormView())


def _render_sign_in(form: FormView) -> str:
    return render_template("accounts/sign_in.html", form=form, next_url=_next_url())


def _next_url() -> str:
    return local_path(request.values.get("next"), "/organise/")


@bp.post("/sign-in")
def sign_in() -> BaseResponse | tuple[str, int]:
    """Sign an organiser in under a new session; 401 with the form for a wrong address or password."""
    refuse_cross_site()
    typed = request.form.get("email", "")
    try:
        key = parse_email(typed).key
    except BadAddress:
        # No account has such an address; PostgreSQL cannot even look for one with a NUL.
        key = typed.replace("\x00", "").strip().casefold()[:254]
    limits.refuse_guessing(_attempt_key(key))
    account = accounts.find_account(db.session(), key)
    password = request.form.get("password", "")[: rules.LONGEST_PASSWORD + 1]
    if not rules.is_password_of(account, password) or account is None:
        limits.count_sign_in_failure(_attempt_key(key))
        form = FormView({"email": typed[:254]}, {"password": field_words("wrong_sign_in")})
        return _render_sign_in(form), 401
    with transaction() as session:
        token = rules.start_session(session, account, utc_now())
    response = redirect(_next_url(), code=303)
    set_cookie(response, SESSION_COOKIE, token, SESSION_SECONDS)
    set_cookie(response, KNOWN_BROWSER_COOKIE, _known_browser(account), KNOWN_BROWSER_SECONDS)
    return response


def _attempt_key(email_key: str) -> str:
    """Count a browser that has signed in to this account before apart from the rest of the world.

    So nobody can lock an owner out by failing on purpose (rules 5.3).
    """
    try:
        known = _serializer().loads(request.cookies.get(cookie_name(KNOWN_BROWSER_COOKIE), ""))
    except BadSignature:
        return email_key
    return f"{email_key} {known['nonce']}" if known["email_key"] == email_key else email_key


def _known_browser(account: Account) -> str:
    return str(_serializer().dumps({"email_key": account.email_key, "nonce": secrets.token_hex(8)}))


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_site().config.secret_key, salt="known browser")


@bp.post("/sign-out")
@organiser_only
def sign_out() -> BaseResponse:
    """End the session on the server, so that no copy of the cookie works any more."""
    with transaction() as session:
        rules.end_session(session, request.cookies[cookie_name(SESSION_COOKIE)])
    response = redirect(url_for("accounts.sign_in"), code=303)
    delete_cookie(response, SESSION_COOKIE)
    return response


@bp.get("/password")
@organiser_only
def password_form() -> str:
    """Show the form that changes the password."""
    return render_template("accounts/password.html", form=FormView())


@bp.post("/password")
@organiser_only
def change_password() -> BaseResponse | tuple[str, int]:
    """Set a new password; every session of the account ends, this browser gets a new one."""
    account: Account = g.account
    limits.refuse_guessing(_attempt_key(account.email_key))
    try:
        password_hash = _checked_new_password(account)
    except Invalid as error:
        return render_template("accounts/password.html", form=FormView({}, words_of(error.errors))), 422
    with transaction() as session:
        rules.change_password(session, account, password_hash, utc_now())
        token = rules.start_session(session, account, utc_now())
    response = make_response(redirect("/organise/", code=303))
    set_cookie(response, SESSION_COOKIE, token, SESSION_SECONDS)
    return response


def _checked_new_password(account: Account) -> str:
    if not rules.is_password_of(account, request.form.get("password", "")[: rules.LONGEST_PASSWORD + 1]):
        limits.count_sign_in_failure(_attempt_key(account.email_key))
        raise Invalid({"password": ["wrong_password"]})
    try:
        return rules.hash_password(request.form.get("new_password", ""))
    except Invalid as error:
        raise Invalid({"new_password": error.errors["password"]}) from error
