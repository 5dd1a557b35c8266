"""What becomes of a mail, by what a real SMTP server on this machine says of it (rules 3.3)."""

from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from meetup.clock import utc_now
from meetup.config import BadSetting
from meetup.key_vault import KeyVault
from tests.factories import World
from tests.worker.mailroom import Mailroom

TEN_DAYS = 10 * 24 * 3600


def test_mail_that_was_promised_is_sent_once(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register(email="ada@example.org")

    assert [mailroom.work(), mailroom.work()] == [{"sent": 1}, {}]

    assert [(sender, to) for sender, to, _ in mailroom.desk.mails] == [("tickets@example.org", ["ada@example.org"])]
    (row,) = mailroom.rows()
    assert (row.state, row.attempts, row.failure, row.lease_token, row.lease_until) == ("sent", 1, None, None, None)
    assert row.sent_at is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("451 4.7.1 try later", "451 4.7.1 try later"),
        ("cut", "SMTPServerDisconnected: Connection unexpectedly closed"),
    ],
)
def test_temporary_failure_is_tried_again_as_the_same_mail(
    world: World, mailroom: Mailroom, answer: str, reason: str
) -> None:
    world.event()
    world.register()
    mailroom.desk.answers = [answer]

    assert mailroom.work() == {"retried": 1}

    assert mailroom.states() == [("due", 1, reason)]
    wait = (mailroom.rows()[0].next_attempt_at - utc_now()).total_seconds()
    assert 46 < wait < 73
    mailroom.clock.move(45)
    assert mailroom.work() == {}
    mailroom.clock.move(30)
    assert mailroom.work() == {"sent": 1}
    assert mailroom.states() == [("sent", 2, None)]
    assert len(mailroom.desk.heard) == 2
    assert len(set(mailroom.desk.message_ids)) == 1


def test_first_wait_is_the_settings(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    mailroom.desk.answers = ["451 4.7.1 try later"]

    mailroom.work(mailroom.hire(MAIL_RETRY_SECONDS="600"))

    wait = (mailroom.rows()[0].next_attempt_at - utc_now()).total_seconds()
    assert 470 < wait < 721


def test_worker_that_does_not_wait_ends_all_the_same(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    mailroom.desk.answers = ["451 4.7.1 try later"] * 10

    assert mailroom.work(mailroom.hire(MAIL_RETRY_SECONDS="0")) == {"retried": 1}


@pytest.mark.parametrize("word", ["answer-550_5.1.1_no_such_mailbox", "content-554_5.6.0_not_liked"])
def test_permanent_failure_stops_this_mail_with_its_reason(world: World, mailroom: Mailroom, word: str) -> None:
    world.event()
    world.register(email=f"{word}@example.org")
    world.register()

    assert mailroom.work() == {"failed": 1, "sent": 1}

    reason = word.partition("-")[2].replace("_", " ")
    assert mailroom.states() == [("failed", 1, reason), ("sent", 1, None)]
    mailroom.clock.move(TEN_DAYS)
    assert mailroom.work() == {}


def test_refused_sign_in_stops_the_queue_and_not_the_rows(world: World, mailroom: Mailroom) -> None:
    world.event()
    for _ in range(25):
        world.register()
    mailroom.desk.password = "changed"
    worker = mailroom.hire()

    assert mailroom.work(worker) == {}

    assert set(mailroom.states()) == {("due", 0, None)}
    assert mailroom.stopped() == "535 5.7.8 Authentication credentials invalid"
    tries = mailroom.desk.sign_ins
    mailroom.clock.move(30)
    assert mailroom.work(worker) == {}
    assert mailroom.desk.sign_ins == tries, "the server is left alone for a while"

    mailroom.desk.password = "right"
    mailroom.clock.move(31)
    assert mailroom.work(worker) == {"sent": 25}
    assert set(mailroom.states()) == {("sent", 1, None)}
    assert mailroom.stopped() == ""


def test_fault_of_our_own_after_some_mails_gives_the_rest_back(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    world.register(email="answer-554_5.7.1_Relay_access_denied@example.org")
    world.register()

    assert mailroom.work() == {"sent": 1}

    assert mailroom.states() == [("sent", 1, None), ("due", 0, None), ("due", 0, None)]
    assert mailroom.stopped() == "554 5.7.1 Relay access denied"


def test_other_secret_stops_the_queue(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    vault = KeyVault("another secret that was not there before")
    mailroom.app.extensions["turnout"] = replace(mailroom.site, vault=vault)

    assert mailroom.work() == {}

    assert mailroom.states() == [("due", 0, None)]
    assert mailroom.stopped().startswith("SECRET_KEY is not the one")


def test_held_mail_never_goes(world: World, mailroom: Mailroom) -> None:
    world.event()
    client = world.app.test_client()
    for _ in range(2):
        made = client.post("/e/evening/register", data={"name": "Ada", "email": "ada@example.org"})
        client.post(f"{made.headers['Location']}/cancel")

    assert mailroom.work() == {"sent": 3}

    assert mailroom.states()[3] == ("held", 0, "too_many_mails")
    mailroom.clock.move(TEN_DAYS)
    assert mailroom.work() == {}


def test_without_a_server_mails_are_files(world: World, mailroom: Mailroom) -> None:
    folder = mailroom.site.config.instance_path / "mail"
    world.event()
    world.register(email="ada@example.org")

    assert mailroom.work(mailroom.hire(MAIL_URL=f"file://{folder}")) == {"sent": 1}

    (path,) = folder.iterdir()
    assert path.suffix == ".eml"
    assert message_from_bytes(path.read_bytes(), policy=policy.default)["To"] == "ada@example.org"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MAIL_URL", "http://x:pa55@y", "MAIL_URL cannot be used: a mail URL starts with smtp://"),
        ("MAIL_FROM", "Turnout", "MAIL_FROM cannot send mail: not a mail address that can be written to"),
    ],
)
def test_worker_that_cannot_send_says_so_at_once(mailroom: Mailroom, name: str, value: str, words: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        mailroom.hire(**{name: value})

    assert str(refusal.value).startswith(words)
    assert "pa55" not in str(refusal.value)
