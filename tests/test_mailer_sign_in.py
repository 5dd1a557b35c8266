"""Signing in at an SMTP server, and encryption: what is trusted and whose fault it is when it fails."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meetup.mail_failures import OwnFault, TemporaryFailure
from meetup.mailer import open_transport
from meetup.smtp_transport import SmtpServer, SmtpTransport
from tests.mail_desk import SENDER, failure, message, open_desk

PASSWORD = "p@ss/word:1"
UNENCRYPTED_SIGN_IN = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


def sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object) -> AuthResult:
    assert isinstance(login, LoginPassword)
    is_right = (login.login, login.password) == (b"us@er", PASSWORD.encode())
    # Handled: the server then leaves the words of the refusal to us.
    return AuthResult(success=is_right, handled=is_right)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate that it signed for `localhost`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "server.pem"
    path.write_bytes(private + signed.public_bytes(pem))
    return path


@UNENCRYPTED_SIGN_IN
def test_sign_in_takes_percent_encoded_credentials() -> None:
    with open_desk(authenticator=sign_in, auth_required=True, auth_require_tls=False) as (_, port):
        transport = open_transport(f"smtp://us%40er:p%40ss%2Fword%3A1@127.0.0.1:{port}")
        assert transport.send(message(), SENDER, "ada@example.org") == "250 2.0.0 queued as 1"
        transport.close()


@UNENCRYPTED_SIGN_IN
@pytest.mark.parametrize(("username", "password", "code"), [("us@er", "wr0ng-pass", "535"), ("", "", "530")])
def test_refused_or_missing_sign_in_is_our_fault_and_tells_no_password(username: str, password: str, code: str) -> None:
    with open_desk(authenticator=sign_in, auth_required=True, auth_require_tls=False) as (_, port):
        transport = SmtpTransport(SmtpServer("127.0.0.1", port, False, username, password))
        kind, reason = failure(transport, "ada@example.org")
        transport.close()
    assert (kind, reason[:3]) == (OwnFault, code)
    assert "wr0ng" not in reason


def test_server_without_sign_in_is_our_fault() -> None:
    with open_desk() as (desk, port):
        transport = SmtpTransport(SmtpServer("127.0.0.1", port, False, "us@er", PASSWORD))
        assert failure(transport, "ada@example.org")[0] is OwnFault
    assert desk.mails == []


@pytest.mark.parametrize("is_tls", [True, False], ids=["smtps", "starttls"])
def test_encrypted_connection_needs_a_certificate_that_is_trusted(certificate: Path, is_tls: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # With require_starttls the server answers 530 to everything that comes unencrypted.
    starttls: dict[str, object] = {"tls_context": context, "require_starttls": True}
    with open_desk(**({"ssl_context": context} if is_tls else starttls)) as (desk, port):
        server = SmtpServer("localhost", port, is_tls)
        trusting = SmtpTransport(server, tls_context=ssl.create_default_context(cafile=str(certificate)))
        assert trusting.send(message(), SENDER, "ada@example.org") == "250 2.0.0 queued as 1"
        trusting.close()
        kind, reason = failure(SmtpTransport(server), "ada@example.org")
    assert (kind, len(desk.mails)) == (TemporaryFailure, 1)
    assert "CERTIFICATE_VERIFY_FAILED" in reason
