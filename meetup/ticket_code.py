"""The M1 ticket code and the short code (contract section 4): pack, sign, verify. Pure."""

import base64
import binascii
import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "M1:"
CODE_LENGTH = 138
SECRET_BYTES = 16
SIGNATURE_BYTES = 64
SHORT_CODE_LENGTH = 8
# No I, L, O, U, B, S, Z, 0 or 1: nothing that is read as something else on a cracked screen in the dark.
SHORT_CODE_ALPHABET = "23456789ACDEFGHJKMNPQRTVWXY"


@dataclass(frozen=True)
class TicketCode:
    """What stands in a code, before anybody has checked the signature."""

    event_number: int
    secret: bytes
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        return b"M1" + self.event_number.to_bytes(4, "big") + self.secret

    def is_signed_by(self, public_key: bytes) -> bool:
        """Tell whether the event with this 32-byte Ed25519 public key signed the code."""
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, self.signed_bytes)
        except InvalidSignature:
            return False
        return True

    def is_made_with(self, private_key: bytes) -> bool:
        """Tell the same by the private key, in a third of the time: Ed25519 signs the same bytes in one way only."""
        return hmac.compare_digest(_signing_key(private_key).sign(self.signed_bytes), self.signature)


@functools.lru_cache(maxsize=64)
def _signing_key(private_key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(private_key)


def new_secret() -> bytes:
    """Return 16 random bytes: the part of a ticket that nobody can guess."""
    return secrets.token_bytes(SECRET_BYTES)


def new_short_code() -> str:
    """Return 8 characters without look-alikes (38 bits; it is typed online only, and misses are limited)."""
    number = secrets.randbelow(len(SHORT_CODE_ALPHABET) ** SHORT_CODE_LENGTH)
    characters = []
    for _ in range(SHORT_CODE_LENGTH):
        number, place = divmod(number, len(SHORT_CODE_ALPHABET))
        characters.append(SHORT_CODE_ALPHABET[place])
    return "".join(characters)


def new_signing_key() -> bytes:
    """Return a new Ed25519 private key, 32 raw bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key_of(private_key: bytes) -> bytes:
    """Return the 32 raw bytes of the public key that belongs to a private one."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def pack(event_number: int, secret: bytes, private_key: bytes) -> str:
    """Return the code that the QR picture carries: 138 characters, all of them in QR's alphanumeric set."""
    head = event_number.to_bytes(4, "big") + secret
    signature = _signing_key(private_key).sign(b"M1" + head)
    return PREFIX + base64.b32encode(head + signature).decode().rstrip("=")


def looks_like_code(text: str) -> bool:
    """Tell whether a scanned text sets out to be an M1 code: right prefix, right length."""
    text = text.strip()
    return text[: len(PREFIX)].upper() == PREFIX and len(text) == CODE_LENGTH


def parse(text: str) -> TicketCode | None:
    """Read a scanned text; None when it is no M1 code at all. The signature is not checked here.

    Only the one canonical spelling of the bytes is taken: base32 leaves three spare bits in the last
    character, and a code that differs there alone would otherwise pass as the same ticket.
    """
    if not looks_like_code(text):
        return None
    body = text.strip().upper()[len(PREFIX) :]
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        return None
    if base64.b32encode(raw).decode().rstrip("=") != body:
        return None
    return TicketCode(int.from_bytes(raw[:4], "big"), raw[4:20], raw[20:])


def normalise_short_code(text: str) -> str | None:
    """Return the 8 characters of a typed short code (case, dashes and spaces do not matter), or None."""
    typed = "".join(text.split()).replace("-", "").upper()
    if len(typed) == SHORT_CODE_LENGTH and set(typed) <= set(SHORT_CODE_ALPHABET):
        return typed
    return None


def format_short_code(short_code: str) -> str:
    """Return a short code as people read it: ABCD-EFGH."""
    return f"{short_code[:4]}-{short_code[4:]}"


def hash_token(token: str) -> str:
    """Return the SHA-256 of a bearer secret in hex: what is stored instead of the secret itself."""
    return hashlib.sha256(token.encode()).hexdigest()
