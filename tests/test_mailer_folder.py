"""Mails that go into a folder or a list, and the addresses that open a way out."""

import stat
from pathlib import Path

import pytest

from meetup.mail_failures import TemporaryFailure
from meetup.mailer import FolderTransport, MemoryTransport, open_transport
from meetup.smtp_transport import SmtpServer
from tests.mail_desk import SENDER, message


def test_folder_gets_one_private_file_for_a_mail_however_often_it_is_sent(tmp_path: Path) -> None:
    folder = tmp_path / "new folder" / "mail"
    transport = open_transport(f"file://{str(folder).replace(' ', '%20')}")
    for _ in range(2):
        reply = transport.send(message(), SENDER, "ada@example.org")
        assert reply == "250 written as 20261122T180200Z-0f3a_.._1_tickets.example.org.eml"
    (path,) = folder.iterdir()
    assert path.read_bytes() == message().content
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    transport.close()


def test_folder_that_cannot_be_written_is_a_temporary_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TemporaryFailure) as raised:
        FolderTransport(tmp_path / "file" / "mail").send(message(), SENDER, "ada@example.org")
    assert raised.value.reason == "NotADirectoryError: Not a directory"


def test_memory_keeps_what_was_sent() -> None:
    transport = open_transport("memory:")
    assert isinstance(transport, MemoryTransport)
    mail = message()
    transport.send(mail, SENDER, "ada@example.org")
    transport.close()
    assert transport.sent == [(mail, SENDER, "ada@example.org")]


@pytest.mark.parametrize(
    "mail_url",
    [
        "",
        "smtp://",
        "http://x.org",
        "file://relative/x",
        "memory:x",
        "smtp://u:pa/ss-secret@host",
        "smtp://u:secret@h:port",
        "smtp://u:secret@[::1",
        "smtp://u:secr%C3%A9t@host",
    ],
)
def test_mail_url_that_cannot_work_is_refused_without_repeating_it(mail_url: str) -> None:
    with pytest.raises(ValueError) as refusal:
        open_transport(mail_url)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_address_of_the_server_shows_no_password() -> None:
    assert "s3cret" not in repr(SmtpServer("host", 25, False, "us@er", "s3cret"))
