"""Rate limits: the settings' names, what each is counted by, and what happens past it (rules 5.5)."""

import functools
import ipaddress
import math
import time
from collections.abc import Callable, Sequence

from flask import Flask, g, request
from flask_limiter import Limiter, RequestLimit
from flask_limiter.errors import RateLimitExceeded
from limits import RateLimitItem, parse, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from meetup import metrics
from meetup.config import Config
from meetup.domain.mail_limits import MailLimit
from meetup.errors import TooMany
from meetup.site import current_site
from meetup.storage.limit_counters import limit_counters_address

REDIS_TIMEOUT_SECONDS = 0.3
# A storage that is away costs one request its time-out once in so long.
LOOK_AGAIN_SECONDS = 10.0
SIGN_IN = "sign-in"


def client_address() -> str:
    """Return the address that a limit counts: the whole of IPv4, the /64 of IPv6 that one subscriber has."""
    return _subscriber(request.remote_addr or "")


@functools.lru_cache(maxsize=10_000)
def _subscriber(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


class SharedLimiter(Limiter):
    """A limiter of which every request goes on in memory when the storage goes away, not only the first to notice.

    Beside the decorators it counts by `hit()`, which is quick enough for the two requests that come by the thousand.
    """

    def init_app(self, app: Flask) -> None:
        """Set up the counting for an application, without the library's part in requests that no decorator counts."""
        before, after = (len(funcs.get(None, ())) for funcs in (app.before_request_funcs, app.after_request_funcs))
        super().init_app(app)
        # No limit holds for every route, and no answer names what is left of one.
        del app.before_request_funcs[None][before:], app.after_request_funcs[None][after:]
        self._counters = SlidingWindowCounterRateLimiter(self.storage)
        self._memory_counters = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._look_again_at = 0.0

    def hit(self, limits: Sequence[RateLimitItem], *key: str) -> int | None:
        """Count one more of something; return None within its limits, else the seconds to wait.

        A window slides by weight, so that a count costs the same whatever the limit. Never raises.
        """
        if self._storage_dead and time.monotonic() >= self._look_again_at:
            self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS
            self._storage_dead = not self.storage.check()
        try:
            if not self._storage_dead:
                return _counted(_hit(self._counters, limits, key), key[0])
        except StorageError:
            self._storage_dead = True
            self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS
        return _counted(_hit(self._memory_counters, limits, key), key[0])

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except StorageError:
            # Another request has marked the storage as away meanwhile, and the library then raises.
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


def _hit(counters: RateLimiter, limits: Sequence[RateLimitItem], key: Sequence[str]) -> int | None:
    for limit in limits:
        if not counters.hit(limit, *key):
            return max(1, math.ceil(counters.get_window_stats(limit, *key).reset_time - time.time()))
    return None


def _counted(seconds: int | None, name: str) -> int | None:
    if seconds is not None:
        metrics.count_limit(name)
    return seconds


def _count_breach(limit: RequestLimit) -> None:
    # The second part of the key says what is limited, the first one who passed it.
    metrics.count_limit(limit.request_args[1])


limiter = SharedLimiter(
    key_func=client_address, strategy="moving-window", in_memory_fallback_enabled=True, on_breach=_count_breach
)


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


@limiter.shared_limit(rate("LIMIT_RESEND_PER_EMAIL"), scope="resend", key_func=_counted_key)
def _count_resend() -> None:
    """Count a ticket that is sent again to an address."""


@limiter.shared_limit(rate("LIMIT_MISSES_PER_IP"), scope="misses", key_func=client_address)
def _count_miss() -> None:
    """Count an unknown key tried from an address."""


@limiter.shared_limit(rate("LIMIT_LOGIN_PER_ACCOUNT"), scope=SIGN_IN, key_func=_counted_key)
def _count_sign_in_failure() -> None:
    """Count a failed sign-in to an account."""


@functools.cache
def _mail_limits(text: str) -> tuple[MailLimit, ...]:
    return tuple(MailLimit(rate.amount, rate.get_expiry()) for rate in parse_many(text))


def mail_limits() -> tuple[MailLimit, ...]:
    """Return how many mails a form may send one address; the outbox counts them, so that no restart forgets any."""
    return _mail_limits(current_site().config["LIMIT_REGISTER_PER_EMAIL"])


def may_resend(event_id: int, email_key: str) -> bool:
    """Count a ticket that would be sent again; False past the limit of an address."""
    g.limit_key = f"{event_id}:{email_key}"
    return _is_within(_count_resend)


def hit_register_limit() -> int | None:
    """Count a registration from this address; return None within the ceiling, else after how many seconds to return.

    The decorator would cost as much as the registration itself.
    """
    return limiter.hit(_parsed(current_site().config["LIMIT_REGISTER_PER_IP"]), "register", client_address())


def hit_scan_limit(device_id: int) -> int | None:
    """Count a scan by a device; return None within its limit, else after how many seconds to return."""
    return limiter.hit(_parsed(current_site().config["LIMIT_SCANS_PER_DEVICE"]), "scans", str(device_id))


_parsed = functools.cache(parse_many)


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
