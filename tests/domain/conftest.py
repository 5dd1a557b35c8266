"""The two events of the tests of groups."""

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.domain.evenings import SLUGS
from tests.factories import World


@pytest.fixture
def evenings(app: Flask, world: World, session: Session) -> World:
    """Make both events, and return the maker of all that belongs to them."""
    for slug in SLUGS:
        world.event(slug)
    session.rollback()
    return world
