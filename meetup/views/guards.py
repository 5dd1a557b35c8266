"""Who may pass: own forms, signed-in organisers, paired devices."""

import functools
import hmac
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.errors import NotAllowed, NotFound, Unauthenticated
from meetup.site import current_site
from meetup.storage import accounts, devices, events
from meetup.storage.accounts import Account
from meetup.storage.db import db
from meetup.storage.events import Event, Role
from meetup.storage.scans import Device, Gate
from meetup.ticket_code import hash_token
from meetup.views import limits
from meetup.views.quarantine import quarantine

P = ParamSpec("P")
R = TypeVar("R")

SESSION_COOKIE = "turnout_session"
DEVICE_COOKIE = "turnout_device"
QUARANTINED_ENDPOINTS = ("api_offline.scan_batch", "api_desk.walk_in", "api_desk.click")
ORGANISER_ROLES = (Role.OWNER, Role.MANAGER)


def cookie_name(name: str) -> str:
    """Return a cookie's name; over TLS with the prefix that ties it to this host and path."""
    return f"__Host-{name}" if current_site().config.has_tls else name


def set_cookie(response: BaseResponse, name: str, value: str, max_age_seconds: int) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send along."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=max_age_seconds,
        httponly=True,
        secure=current_site().config.has_tls,
        samesite="Lax",
        path="/",
    )


def delete_cookie(response: BaseResponse, name: str) -> None:
    """Take a cookie back."""
    has_tls = current_site().config.has_tls
    response.delete_cookie(cookie_name(name), path="/", secure=has_tls, httponly=True, samesite="Lax")


def refuse_cross_site() -> None:
    """Refuse a form that another site sends (403): Sec-Fetch-Site decides where present, else Origin.

    A page without referrer sends `Origin: null` with its own forms, and a program sends neither header.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise NotAllowed("cross_site")
        return
    origin = request.headers.get("Origin")
    if origin not in (None, "null") and not _is_own_origin(origin or ""):
        raise NotAllowed("cross_site")


def _is_own_origin(origin: str) -> bool:
    host = urlsplit(origin).netloc
    return host in (request.host, urlsplit(current_site().config.base_url).netloc)


def find_organiser() -> Account | None:
    """Return the account that this browser is signed in to, or None."""
    token = request.cookies.get(cookie_name(SESSION_COOKIE))
    if not token:
        return None
    found = accounts.find_session(db.session(), hash_token(token), utc_now())
    return found[1] if found else None


def csrf_token() -> str:
    """Return the token that every form of this session carries: worth nothing in any other session."""
    session_token = request.cookies.get(cookie_name(SESSION_COOKIE), "")
    key = current_site().config.secret_key.encode()
    return hmac.digest(key, b"csrf " + session_token.encode(), "sha256").hex()


def organiser_only(view: Callable[P, R]) -> Callable[P, R | BaseResponse]:
    """Let signed-in organisers through; send others to the sign-in page, and refuse forms without the token."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | BaseResponse:
        account = find_organiser()
        if account is None:
            if request.method == "GET":
                return redirect(url_for("accounts.sign_in", next=request.path), code=303)
            raise Unauthenticated
        if request.method not in ("GET", "HEAD"):
            refuse_cross_site()
            if not hmac.compare_digest(request.form.get("csrf_token", "").encode(), csrf_token().encode()):
                raise NotAllowed("csrf")
        g.account = account
        return view(*args, **kwargs)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded


def own_event(slug: str) -> Event:
    """Return an event that the signed-in organiser runs; raise NotFound for every other (rules 5.2)."""
    event = events.get_event(db.session(), slug)
    if events.find_role(db.session(), event.id, g.account.id) not in ORGANISER_ROLES:
        raise NotFound
    return event


def find_device() -> tuple[Device, Gate] | None:
    """Return the device that sends this request and its gate: by bearer token, else by its cookie."""
    token = device_token()
    return devices.find_device_by_token(db.session(), hash_token(token)) if token else None


def device_token() -> str | None:
    """Return the credential of a device that this request shows, good or not."""
    return bearer_token() or request.cookies.get(cookie_name(DEVICE_COOKIE))


def bearer_token() -> str | None:
    """Return the token of the Authorization header, or None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def credentials() -> tuple[str | None, ...]:
    """Return all that this request shows to be let through, good or not."""
    cookies = (request.cookies.get(cookie_name(name)) for name in (SESSION_COOKIE, DEVICE_COOKIE))
    return (bearer_token(), *cookies)


def device_only(view: Callable[P, R]) -> Callable[P, R]:
    """Let paired devices through, with `g.device` and `g.gate` set; 401 for unknown and revoked ones."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        found = find_device()
        if found is None:
            raise refuse_device()
        if bearer_token() is None and request.method not in ("GET", "HEAD"):
            # A cookie goes along with requests of other sites; a bearer token does not.
            refuse_cross_site()
        g.device, g.gate = found
        g.limit_key = f"device {g.device.id}"
        return view(*args, **kwargs)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded


def known_device_only(view: Callable[P, R]) -> Callable[P, R]:
    """Let through who shows a device's credential, with `g.token_hash` and `g.device_id` set; 401 for all others.

    Whether the device has been revoked is left to the transaction of the view, which asks for all of a group at once.
    """

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        bearer = bearer_token()
        token = bearer or request.cookies.get(cookie_name(DEVICE_COOKIE))
        token_hash = hash_token(token) if token else ""
        device_id = _device_ids.get(token_hash)
        if device_id is None:
            device_id = _remember_device(token_hash)
        if bearer is None:
            refuse_cross_site()
        g.token_hash, g.device_id = token_hash, device_id
        return view(*args, **kwargs)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded


# A credential belongs to the same device for ever, so that it is looked up once.
_device_ids: dict[str, int] = {}
MOST_DEVICES_REMEMBERED = 10_000


def _remember_device(token_hash: str) -> int:
    found = devices.find_device_by_token(db.session(), token_hash) if token_hash else None
    if found is None:
        raise refuse_device()
    if len(_device_ids) >= MOST_DEVICES_REMEMBERED:
        _device_ids.clear()
    _device_ids[token_hash] = found[0].id
    return found[0].id


def refuse_device() -> Unauthenticated:
    """Return the refusal of an unknown or revoked device; the queue that a revoked one brings is kept first."""
    token = device_token()
    revoked = devices.find_revoked_device_by_token(db.session(), hash_token(token)) if token else None
    if revoked is None:
        if bearer_token():
            limits.count_miss()
        return Unauthenticated("unknown_device")
    kept = 0
    if request.endpoint in QUARANTINED_ENDPOINTS and request.method == "POST":
        kept = quarantine(revoked)
    return Unauthenticated("device_revoked", quarantined=kept)


def may_watch(event: Event) -> bool:
    """Tell whether this request may see the headcount: an organiser's session, a device or an API token."""
    token = bearer_token()
    if token is not None:
        account = accounts.find_api_token_account(db.session(), hash_token(token))
        if account is not None:
            return events.find_role(db.session(), event.id, account.id) is not None
    found = find_device()
    if found is not None and found[0].event_id == event.id:
        return True
    organiser = find_organiser()
    return organiser is not None and events.find_role(db.session(), event.id, organiser.id) is not None


def watcher_event(slug: str) -> Event:
    """Return the event whose headcount is asked for; 401 for nobody in particular, 404 for one not theirs."""
    is_somebody = bearer_token() or find_device() or find_organiser()
    if not is_somebody:
        raise Unauthenticated
    event = events.get_event(db.session(), slug)
    if may_watch(event):
        return event
    if bearer_token() and not _is_known_bearer():
        limits.count_miss()
        raise Unauthenticated
    raise NotFound


def _is_known_bearer() -> bool:
    token_hash = hash_token(bearer_token() or "")
    session = db.session()
    return bool(
        accounts.find_api_token_account(session, token_hash) or devices.find_device_by_token(session, token_hash)
    )


def private(response: Response) -> Response:
    """Mark an answer that shows a ticket or personal data: never stored, never named to another site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def local_path(text: str | None, default: str) -> str:
    """Return where to go next when it is a path of this site, else the default."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return default
    parts = urlsplit(text)
    is_plain = not parts.scheme and not parts.netloc and "\\" not in text and text.isprintable()
    return text if is_plain else default
