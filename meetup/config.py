"""Every setting, typed, from the environment; `SETTINGS` is the list that docs and `flask settings` show."""

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from limits import parse_many
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).resolve().parent.parent
SHORTEST_SECRET = 32
# Random text of that length has more different characters than this, in hexadecimal too.
FEWEST_CHARACTERS = 8
# A site that only this machine can reach is for trying things out, and may have a short secret.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
GUESSABLE_SECRETS = {"", "secret", "secretkey", "dev", "development", "password", "turnout"}
PLACEHOLDERS = ("changeme", "replaceme", "yoursecret")
LONGEST_NUMBER = 9


@dataclass(frozen=True)
class Setting:
    """One setting: its name in the environment, its default as text, its unit and what it means."""

    name: str
    default: str
    unit: str
    meaning: str
    is_secret: bool = False


SETTINGS = (
    Setting("INSTANCE_PATH", "instance/", "folder", "where the default database, mails and the secret live"),
    Setting("DATABASE_URL", "sqlite:///<INSTANCE_PATH>/turnout.sqlite", "URL", "the database", True),
    Setting("REDIS_URL", "", "URL", "where limits are counted; empty: in INSTANCE_PATH, for one machine", True),
    Setting("MAIL_URL", "file://<INSTANCE_PATH>/mail", "URL", "smtp://, smtps:// or file:// for a folder", True),
    Setting("MAIL_FROM", "Turnout <tickets@localhost>", "address", "the sender of every mail"),
    Setting("MAIL_RETRY_SECONDS", "60", "seconds", "the first wait after a temporary failure of a mail"),
    Setting("MAIL_LEASE_SECONDS", "120", "seconds", "how long a worker that died keeps others from its mails"),
    Setting("BASE_URL", "http://<HOST>:<PORT>", "URL", "the site's own address: links in mail come from here only"),
    Setting("HOST", "127.0.0.1", "address", "where the web server listens"),
    Setting("PORT", "8000", "port", "where the web server listens"),
    Setting("SECRET_KEY", "", "text", "encrypts ticket keys; made and kept in INSTANCE_PATH when empty", True),
    Setting("WEB_CONCURRENCY", "0", "processes", "web workers; 0: one for each core"),
    Setting("WORK_IN_FLIGHT", "512", "requests", "at once in one process; half of it registrations; 0: no bound"),
    Setting("TRUSTED_PROXIES", "0", "hops", "how many proxies stand before the site and set X-Forwarded-For"),
    Setting("DEFAULT_LOCALE", "en", "en or fr", "the language for those who ask for neither"),
    Setting("METRICS_TOKEN", "", "text", "bearer token for /metrics from elsewhere than this machine", True),
    Setting("LIMIT_REGISTER_PER_IP", "600 per 10 minutes", "rate", "registrations from one address"),
    Setting("LIMIT_REGISTER_PER_EMAIL", "3 per hour", "rate", "mails that forms send one address for one event"),
    Setting("LIMIT_RESEND_PER_EMAIL", "3 per day", "rate", "tickets sent again to one address"),
    Setting("LIMIT_LOGIN_PER_ACCOUNT", "5 per minute", "rate", "failed sign-ins to one account"),
    Setting("LIMIT_SCANS_PER_DEVICE", "20 per second", "rate", "scans by one device"),
    Setting("LIMIT_MISSES_PER_IP", "30 per minute", "rate", "unknown keys tried from one address"),
)


NUMBERS = ("MAIL_RETRY_SECONDS", "MAIL_LEASE_SECONDS", "WEB_CONCURRENCY", "WORK_IN_FLIGHT", "TRUSTED_PROXIES", "PORT")


class BadSetting(Exception):
    """A setting cannot be used; the text says which and how to mend it."""


@dataclass(frozen=True)
class Config:
    """The settings as the application uses them, plus `is_production` (TLS on the site's own address)."""

    values: Mapping[str, str]
    instance_path: Path
    secret_key: str

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def number(self, name: str) -> int:
        """Return a setting that counts something; raise BadSetting when it is no whole number from 0 up."""
        text = self.values[name]
        if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
            raise BadSetting(f"{name} must be a whole number, not {text!r}")
        return int(text)

    @property
    def base_url(self) -> str:
        return self.values["BASE_URL"].rstrip("/")

    @property
    def has_tls(self) -> bool:
        return urlsplit(self.base_url).scheme == "https"


def load_config(environ: Mapping[str, str]) -> Config:
    """Read every setting; raise BadSetting for one that cannot work or a secret that can be guessed."""
    values = {setting.name: environ.get(setting.name) or setting.default for setting in SETTINGS}
    instance_path = Path(environ.get("INSTANCE_PATH") or ROOT / "instance").resolve()
    instance_path.mkdir(parents=True, exist_ok=True)
    values["INSTANCE_PATH"] = str(instance_path)
    for name in ("DATABASE_URL", "MAIL_URL"):
        values[name] = values[name].replace("<INSTANCE_PATH>", str(instance_path))
    values["BASE_URL"] = values["BASE_URL"].replace("<HOST>", values["HOST"]).replace("<PORT>", values["PORT"])
    values["DATABASE_URL"] = with_driver(values["DATABASE_URL"])
    if not _is_web_address(values["BASE_URL"]):
        raise BadSetting(f"BASE_URL must look like https://tickets.example.org, not {values['BASE_URL']!r}")
    _check_servers(values)
    config = Config(values, instance_path, _secret_key(values, instance_path))
    for name in NUMBERS:
        config.number(name)
    _check_rates(config)
    if config["DEFAULT_LOCALE"] not in ("en", "fr"):
        raise BadSetting("DEFAULT_LOCALE must be en or fr")
    return config


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_servers(values: Mapping[str, str]) -> None:
    """Refuse addresses that no database or Redis can have; they are not shown, for they may hold a password."""
    try:
        database = make_url(values["DATABASE_URL"]).get_backend_name()
    except (ArgumentError, ValueError):
        database = ""
    if database not in ("sqlite", "postgresql"):
        raise BadSetting("DATABASE_URL must look like sqlite:////folder/file or postgresql://account@host/name")
    try:
        parts = urlsplit(values["REDIS_URL"])
        is_redis = parts.scheme.startswith("redis") and parts.port != 0
    except ValueError:
        is_redis = False
    if values["REDIS_URL"] and not is_redis:
        raise BadSetting("REDIS_URL must look like redis://host:6379/0")


def _check_rates(config: Config) -> None:
    """Refuse a limit that cannot be read: it would limit nothing, or fail at the first request that it is for."""
    for setting in SETTINGS:
        if setting.unit == "rate":
            try:
                parse_many(config[setting.name])
            except ValueError as error:
                wrong = f"not {config[setting.name]!r}"
                raise BadSetting(f"{setting.name} must look like '600 per 10 minutes', {wrong}") from error


def with_driver(url: str) -> str:
    """Return a database URL with psycopg 3 named as the driver of PostgreSQL."""
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg{separator}{rest}"
    return url


def _secret_key(values: Mapping[str, str], instance_path: Path) -> str:
    given = values["SECRET_KEY"]
    if not given:
        return _kept_secret(instance_path / "secret-key")
    is_production = urlsplit(values["BASE_URL"]).hostname not in LOOPBACK
    if _is_well_known(given) or (is_production and _is_guessable(given)):
        raise BadSetting(
            f"SECRET_KEY can be guessed: use at least {SHORTEST_SECRET} random characters, "
            "such as the output of: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return given


def _is_well_known(secret: str) -> bool:
    letters = re.sub(r"[^a-z]", "", secret.lower())
    return letters in GUESSABLE_SECRETS or any(each in letters for each in PLACEHOLDERS)


def _is_guessable(secret: str) -> bool:
    return len(secret) < SHORTEST_SECRET or len(set(secret)) < FEWEST_CHARACTERS


def _kept_secret(path: Path) -> str:
    """Return the secret in a file, made at the first start; of several first starts at once all return the same."""
    if not path.exists():
        _keep_new_secret(path)
    secret = path.read_text().strip()
    if len(secret) < SHORTEST_SECRET:
        raise BadSetting(f"{path} holds no secret: put the former one back, or remove the file for a new one")
    return secret


def _keep_new_secret(path: Path) -> None:
    """Write a secret beside its place and link it there complete, unless another process was first."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
        # The events' keys are worth nothing without it.
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink()
