"""Accounts (sign-ins of organisers), their sessions and their API tokens."""

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime


class Account(Base):
    """A sign-in. Attendees need none."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccountSession(Base):
    """One signed-in browser; the row is the session, so deleting it ends every copy of the cookie."""

    __tablename__ = "account_sessions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A bearer token of an integrator, acting for one account."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def find_account(session: Session, email_key: str) -> Account | None:
    """Return the account with this normalised address, or None."""
    return session.scalar(select(Account).where(Account.email_key == email_key))


def find_session(session: Session, token_hash: str, now: datetime) -> tuple[AccountSession, Account] | None:
    """Return a session that has not expired and its account, or None."""
    statement = (
        select(AccountSession, Account)
        .join(Account, Account.id == AccountSession.account_id)
        .where(AccountSession.token_hash == token_hash, AccountSession.expires_at > now)
    )
    row = session.execute(statement).one_or_none()
    return (row[0], row[1]) if row else None


def delete_session(session: Session, token_hash: str) -> None:
    """End one session."""
    session.execute(delete(AccountSession).where(AccountSession.token_hash == token_hash))


def delete_sessions_of(session: Session, account_id: int) -> None:
    """End every session of an account."""
    session.execute(delete(AccountSession).where(AccountSession.account_id == account_id))


def delete_expired_sessions(session: Session, now: datetime) -> None:
    """Forget sessions that have expired."""
    session.execute(delete(AccountSession).where(AccountSession.expires_at <= now))


def find_api_token_account(session: Session, token_hash: str) -> Account | None:
    """Return the account for which a token acts, or None when unknown or revoked."""
    statement = (
        select(Account)
        .join(ApiToken, ApiToken.account_id == Account.id)
        .where(ApiToken.token_hash == token_hash, ApiToken.revoked_at.is_(None))
    )
    return session.scalar(statement)
