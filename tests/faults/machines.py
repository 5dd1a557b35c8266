"""The nginx of deploy/ before the machines of a test: the same settings, with other addresses, ports and folders."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meetup.clock import utc_now
from meetup.config import ROOT
from scripts.find_nginx import find_nginx
from tests.faults.journal import Caller, Journal, Reply
from tests.faults.servers import end, free_port, wait_until

SETTINGS = ROOT / "deploy" / "nginx" / "nginx.conf"
NAME = "tickets.example.org"


def need_nginx() -> str:
    """Return the path of an nginx; skip the test where there is none to be had."""
    path = find_nginx(Path(sys.prefix) / "cache")
    if path is None:
        pytest.skip("SKIPPED LOUDLY: there is no nginx here, and apt-get cannot download Debian's package")
    return path


@dataclass(frozen=True)
class Nginx:
    """A running nginx: the port for TLS, the one without, and its first process."""

    port: int
    plain_port: int
    process: subprocess.Popen[bytes]


def write_settings(folder: Path, ports: Sequence[int], listening: Sequence[int]) -> Path:
    """Write the settings of deploy/ for machines on two ports of this one; every replacement must have its place."""
    text = SETTINGS.read_text()
    replacements = {
        "listen 443 ": f"listen 127.0.0.1:{listening[0]} ",
        "listen 80 ": f"listen 127.0.0.1:{listening[1]} ",
        "server web-1:8000": f"server 127.0.0.1:{ports[0]}",
        "server web-2:8000": f"server 127.0.0.1:{ports[1]}",
        "/etc/turnout": str(folder),
        "/var/cache/nginx": str(folder / "cache"),
        "/var/log/nginx": str(folder),
        "/run/nginx.pid": str(folder / "nginx.pid"),
    }
    for old, new in replacements.items():
        assert old in text, f"{SETTINGS} has no {old!r}"
        text = text.replace(old, new)
    (folder / "cache").mkdir(exist_ok=True)
    for name in ("waiting.html", "waiting.json"):
        shutil.copy(SETTINGS.parent / name, folder)
    _write_certificate(folder)
    written = folder / "nginx.conf"
    written.write_text(text)
    return written


def _write_certificate(folder: Path) -> None:
    """Write a key and a certificate that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(utc_now() - timedelta(days=1)).not_valid_after(utc_now() + timedelta(days=7))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def command(program: str, settings: Path, *more: str) -> list[str]:
    """Return how nginx is called with these settings alone."""
    # As root it would give up its rights, and could not read the test's folder.
    said = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    return [program, "-p", str(settings.parent), "-c", str(settings), "-e", "stderr", "-g", said, *more]


@contextmanager
def running_nginx(folder: Path, ports: Sequence[int]) -> Iterator[Nginx]:
    """Run nginx before two machines until the block ends."""
    program = need_nginx()
    listening = (free_port(), free_port())
    settings = write_settings(folder, ports, listening)
    with (folder / "nginx.log").open("ab") as log:
        process = subprocess.Popen(command(program, settings), stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(listening[0]) or process.poll() is not None, "nginx listens")
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield Nginx(*listening, process)
    finally:
        end(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Connection(HTTPSConnection):
    """A connection to the site by its name, wherever on this machine it is, from an address of this machine."""

    def __init__(self, folder: Path, port: int, client_address: str = "127.0.0.1", seconds: float = 20) -> None:
        trusted = ssl.create_default_context(cafile=str(folder / "tls.crt"))
        super().__init__(NAME, port, timeout=seconds, context=trusted)
        self._client_address = client_address
        self._create_connection = self._connect_here

    def _connect_here(self, _address: Any, timeout: Any = None, *_more: Any) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout, (self._client_address, 0))

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        """Return the answer to one request."""
        self.request(method, path, body, {"Host": NAME, **(headers or {})})
        answer = self.getresponse()
        content = answer.read()
        location, retry_after = answer.getheader("Location") or "", answer.getheader("Retry-After") or ""
        return Reply(answer.status, location.removeprefix(f"https://{NAME}"), retry_after, content)


class TlsCaller(Caller):
    """Somebody who calls the site through nginx and tries again."""

    def __init__(self, folder: Path, port: int, journal: Journal, *, is_keeping: bool = False) -> None:
        super().__init__(NAME, journal, is_keeping=is_keeping)
        self._folder = folder
        self._port = port

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        if self._connection is None:
            self._connection = Connection(self._folder, self._port, seconds=self.try_seconds)
        return super()._request(method, path, body, {"Host": NAME, **headers})
