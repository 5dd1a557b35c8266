"""Rate limits: the settings' names, what each is counted by, and what happens past it (rules 5.5)."""

import ipaddress
import time
from collections.abc import Callable

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded
from limits import parse
from limits.errors import StorageError

from meetup.config import Config
from meetup.errors import TooMany
from meetup.site import current_site
from meetup.storage.limit_counters import limit_counters_address

REDIS_TIMEOUT_SECONDS = 0.3
SIGN_IN = "sign-in"


def client_address() -> str:
    """Return the address that a limit counts: the whole of IPv4, the /64 of IPv6 that one subscriber has."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


class SharedLimiter(Limiter):
    """A limiter of which every request goes on in memory when the storage goes away, not only the first to notice."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except StorageError:
            # Another request has marked the storage as away meanwhile, and the library then raises.
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


limiter = SharedLimiter(key_func=client_address, strategy="moving-window", in_memory_fallback_enabled=True)


def configure_limiter(app: Flask, config: Config) -> None:
    """Count in Redis where there is one, else in a file that all workers of this machine share."""
    app.config["RATELIMIT_HEADERS_ENABLED"] = False
    if config["REDIS_URL"]:
        app.config["RATELIMIT_STORAGE_URI"] = config["REDIS_URL"]
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            "socket_timeout": REDIS_TIMEOUT_SECONDS,
            "wrap_exceptions": True,
        }
    else:
        counters = limit_counters_address(config.instance_path / "limits.sqlite")
        app.config["RATELIMIT_STORAGE_URI"] = counters
    limiter.init_app(app)


def rate(name: str) -> Callable[[], str]:
    """Return a function that reads a limit from the settings when it is needed."""
    return lambda: current_site().config[name]


def _counted_key() -> str:
    return str(g.limit_key)


@limiter.shared_limit(rate("LIMIT_REGISTER_PER_EMAIL"), scope="mail", key_func=_counted_key)
def _count_mail() -> None:
    """Count a mail that a form sends to an address (rules 3.5)."""


@limiter.shared_limit(rate("LIMIT_RESEND_PER_EMAIL"), scope="resend", key_func=_counted_key)
def _count_resend() -> None:
    """Count a ticket that is sent again to an address."""


@limiter.shared_limit(rate("LIMIT_MISSES_PER_IP"), scope="misses", key_func=client_address)
def _count_miss() -> None:
    """Count an unknown key tried from an address."""


@limiter.shared_limit(rate("LIMIT_LOGIN_PER_ACCOUNT"), scope=SIGN_IN, key_func=_counted_key)
def _count_sign_in_failure() -> None:
    """Count a failed sign-in to an account."""


def may_mail(event_id: int, email_key: str) -> bool:
    """Count a mail that a form would send; False when the address has had its share for this event."""
    g.limit_key = f"{event_id}:{email_key}"
    return _is_within(_count_mail)


def may_resend(event_id: int, email_key: str) -> bool:
    """Count a ticket that would be sent again; False past either of the two limits of an address."""
    g.limit_key = f"{event_id}:{email_key}"
    return _is_within(_count_resend) and _is_within(_count_mail)


def count_miss() -> None:
    """Count an unknown key; raise TooMany past the limit. Called after the look-up, so a known key always passes."""
    _refuse_past(_count_miss)


def refuse_guessing(key: str) -> None:
    """Raise TooMany when whoever signs in here has failed too often already; asked before the password is tried."""
    limit = parse(current_site().config["LIMIT_LOGIN_PER_ACCOUNT"])
    try:
        may_try = limiter.limiter.test(limit, key, SIGN_IN)
    except StorageError:
        # The failures are counted in memory then, from the next one on.
        return
    if not may_try:
        reset_at, _left = limiter.limiter.get_window_stats(limit, key, SIGN_IN)
        raise TooMany(max(1, int(reset_at - time.time())))


def count_sign_in_failure(key: str) -> None:
    """Count a failed sign-in."""
    g.limit_key = key
    _is_within(_count_sign_in_failure)


def _is_within(count: Callable[[], None]) -> bool:
    try:
        count()
    except RateLimitExceeded:
        return False
    return True


def _refuse_past(count: Callable[[], None]) -> None:
    try:
        count()
    except RateLimitExceeded as error:
        raise TooMany(seconds_to_wait(error)) from error


def seconds_to_wait(error: RateLimitExceeded) -> int:
    """Return after how many seconds the limit that was passed lets somebody through again, at least 1."""
    current = limiter.current_limit
    wait = current.reset_at - time.time() if current else error.limit.limit.get_expiry()
    return max(1, int(wait))
