"""The site that the rules about routes are tried on."""

import pytest

from tests.factories import World
from tests.rules.seeded_site import SeededSite, seed


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_LOGIN_PER_ACCOUNT": "1000 per minute", "LIMIT_MISSES_PER_IP": "1000 per minute"}


@pytest.fixture
def site(world: World) -> SeededSite:
    return seed(world)
