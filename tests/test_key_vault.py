"""The vault of the events' keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meetup.key_vault import KeyVault, WrongSecret

VAULT = KeyVault("a secret of the tests, long enough to pass")


@settings(max_examples=30)
@given(st.binary(max_size=64), st.text(min_size=1))
def test_what_is_sealed_is_opened_by_the_same_secret_alone(secret: bytes, secret_key: str) -> None:
    sealed = KeyVault(secret_key).seal(secret)

    assert KeyVault(secret_key).open(sealed) == secret
    with pytest.raises(WrongSecret):
        VAULT.open(sealed)


def test_sealed_key_shows_nothing_and_is_never_the_same() -> None:
    key = bytes(range(32))
    first, second = VAULT.seal(key), VAULT.seal(key)

    assert first != second
    assert key not in first


@pytest.mark.parametrize("position", [0, 20, 60, -1])
def test_changed_seal_is_refused(position: int) -> None:
    sealed = bytearray(VAULT.seal(b"key"))
    sealed[position] ^= 1

    with pytest.raises(WrongSecret):
        VAULT.open(bytes(sealed))
