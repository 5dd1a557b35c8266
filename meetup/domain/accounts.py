"""Accounts, passwords and sessions (rules 5.3)."""

import functools
import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.domain.audit import Actor
from meetup.errors import Conflict, Invalid, Unauthenticated
from meetup.storage import accounts
from meetup.storage.accounts import Account, AccountSession, ApiToken
from meetup.storage.audit import ActorKind
from meetup.text_input import EmailAddress
from meetup.ticket_code import hash_token

SESSION_LASTS = timedelta(days=14)
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 128
TOKEN_BYTES = 32
# OWASP's smallest: 19 MiB, two passes, one lane; more lanes would let a flood of sign-ins take every core.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_nobody = _hasher.hash(secrets.token_urlsafe(TOKEN_BYTES))


@functools.cache
def _common_passwords() -> frozenset[str]:
    # With its other lists it takes 12 MB, which only whoever chooses a password needs.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def hash_password(password: str) -> str:
    """Return the argon2id hash of an acceptable password; raise Invalid (`password`). Slow: not in a transaction."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid({"password": ["bad_password_length"]})
    if password.casefold() in _common_passwords():
        raise Invalid({"password": ["common_password"]})
    return _hasher.hash(password)


def new_password() -> str:
    """Return a random password that can be read aloud and typed: four groups of five characters."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def is_password_of(account: Account | None, password: str) -> bool:
    """Tell whether a password is right, in the same time for an account that is not there. Slow."""
    try:
        is_right = _hasher.verify(account.password_hash if account else _nobody, password)
    except VerificationError:
        return False
    return is_right and account is not None


def create_account(session: Session, address: EmailAddress, password_hash: str, now: datetime) -> Account:
    """Make an account; raise Conflict (`account_exists`)."""
    if accounts.find_account(session, address.key) is not None:
        raise Conflict("account_exists")
    account = Account(email=address.email, email_key=address.key, password_hash=password_hash, created_at=now)
    session.add(account)
    # The id goes into the log.
    session.flush()
    audit.record(session, audit.SYSTEM, None, audit.Change("account.created", "account", account.id), now)
    return account


def start_session(session: Session, account: Account, now: datetime) -> str:
    """Sign an account in and return the token for its cookie; only the token's hash is kept."""
    accounts.delete_expired_sessions(session, now)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = AccountSession(
        token_hash=hash_token(token),
        account_id=account.id,
        created_at=now,
        last_seen_at=now,
        expires_at=now + SESSION_LASTS,
    )
    session.add(row)
    session.flush()
    actor = Actor(ActorKind.ACCOUNT, account.id)
    audit.record(session, actor, None, audit.Change("account.signed_in", "account", account.id), now)
    return token


def end_session(session: Session, token: str) -> None:
    """Sign out: every copy of the cookie is worth nothing from now on."""
    accounts.delete_session(session, hash_token(token))


def change_password(session: Session, account: Account, password_hash: str, now: datetime) -> None:
    """Set a new password and end every session of the account."""
    account.password_hash = password_hash
    session.flush()
    accounts.delete_sessions_of(session, account.id)
    actor = Actor(ActorKind.ACCOUNT, account.id)
    audit.record(session, actor, None, audit.Change("account.password_changed", "account", account.id), now)


def create_api_token(session: Session, account: Account, now: datetime) -> str:
    """Make a bearer token that acts for an account, and return it this once."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(ApiToken(token_hash=hash_token(token), account_id=account.id, created_at=now))
    session.flush()
    actor = Actor(ActorKind.ACCOUNT, account.id)
    audit.record(session, actor, None, audit.Change("api_token.created", "account", account.id), now)
    return token


def get_session_account(session: Session, token: str, now: datetime) -> Account:
    """Return the account that a session's token belongs to; raise Unauthenticated."""
    found = accounts.find_session(session, hash_token(token), now)
    if found is None:
        raise Unauthenticated
    return found[1]
