"""Keeps the events' private keys encrypted with SECRET_KEY."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class WrongSecret(Exception):
    """What is stored was encrypted with another SECRET_KEY."""


class KeyVault:
    """Encrypts and decrypts short secrets with a key that is derived from SECRET_KEY."""

    def __init__(self, secret_key: str) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"turnout event keys").derive(secret_key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        self._opened: dict[bytes, bytes] = {}

    def seal(self, secret: bytes) -> bytes:
        """Return the secret encrypted."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Return a secret decrypted; raise WrongSecret when it was sealed with another SECRET_KEY."""
        if sealed not in self._opened:
            try:
                self._opened[sealed] = self._fernet.decrypt(sealed)
            except InvalidToken as error:
                raise WrongSecret from error
        return self._opened[sealed]
