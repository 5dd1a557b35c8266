"""What the organiser's pages share: who acts, and lists cut into pages."""

from dataclasses import dataclass

from flask import g, request

from meetup.domain.audit import Actor
from meetup.storage.audit import ActorKind

ROWS_ON_A_PAGE = 50
LARGEST_ID = 2**31 - 1


def signed_in_actor() -> Actor:
    """Return the signed-in account as the one who makes a change."""
    return Actor(ActorKind.ACCOUNT, g.account.id)


@dataclass(frozen=True)
class Page:
    """One page of a list: its number from 1, and how many rows there are in all."""

    number: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page, at least 1."""
        return max(1, -(-self.total // ROWS_ON_A_PAGE))

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.number - 1) * ROWS_ON_A_PAGE


def asked_page(total: int) -> Page:
    """Return the page that the address asks for, or the nearest one that exists."""
    asked = request.values.get("page", 1, type=int)
    return Page(max(1, min(asked, Page(1, total).last)), total)


def row_id(text: str) -> int:
    """Return a row's id from a form or an address; 0, which no row has, for what cannot be one."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text) if is_number and int(text) <= LARGEST_ID else 0
