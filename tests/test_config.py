"""The settings: what is read from the environment, what is refused at once, and the secret that is kept."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meetup.config import ROOT, SETTINGS, BadSetting, load_config, with_driver

HEXADECIMAL = "9f86d081884c7d659a2feaa0c55ad015"


def load(folder: Path, **environ: str) -> dict[str, str]:
    return dict(load_config({"INSTANCE_PATH": str(folder), **environ}).values)


def test_defaults_lie_in_the_instance_folder(tmp_path: Path) -> None:
    values = load(tmp_path / "new" / "instance")

    assert values["DATABASE_URL"] == f"sqlite:///{tmp_path}/new/instance/turnout.sqlite"
    assert values["MAIL_URL"] == f"file://{tmp_path}/new/instance/mail"
    assert values["BASE_URL"] == "http://127.0.0.1:8000"


def test_empty_settings_are_unset_ones(tmp_path: Path) -> None:
    empty = dict.fromkeys((setting.name for setting in SETTINGS if setting.name != "INSTANCE_PATH"), "")

    assert load(tmp_path, **empty) == load(tmp_path)


def test_base_url_follows_host_and_port_unless_it_is_set(tmp_path: Path) -> None:
    assert load(tmp_path, HOST="0.0.0.0", PORT="9000")["BASE_URL"] == "http://0.0.0.0:9000"
    config = load_config({"INSTANCE_PATH": str(tmp_path), "PORT": "9000", "BASE_URL": "https://tickets.example.org/"})
    assert (config.base_url, config.has_tls) == ("https://tickets.example.org", True)


@pytest.mark.parametrize(
    "secret",
    [
        "dev",
        "secret",
        HEXADECIMAL[:31],
        "a" * 64,
        "changeme" * 8,
        "secret-0123456789-0123456789-0123456789",
        "please-change-me-before-you-go-to-production",
        "your-secret-key-for-the-production-site",
    ],
)
def test_secret_that_can_be_guessed_is_refused_with_what_to_do(tmp_path: Path, secret: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        load(tmp_path, SECRET_KEY=secret, BASE_URL="https://tickets.example.org")

    assert str(refusal.value) == (
        "SECRET_KEY can be guessed: use at least 32 random characters, "
        "such as the output of: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    )
    assert not list(tmp_path.iterdir())


def test_short_secret_is_taken_where_only_this_machine_can_reach_the_site(tmp_path: Path) -> None:
    secret = "short, not in a list"
    assert load_config({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": secret}).secret_key == secret


@pytest.mark.parametrize("secret", [HEXADECIMAL, "a secret of the tests, long enough to pass"])
def test_random_secret_is_taken(tmp_path: Path, secret: str) -> None:
    assert load_config({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": secret}).secret_key == secret
    assert not list(tmp_path.iterdir())


def test_advice_of_the_refusal_makes_a_secret_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as refusal:
        load(tmp_path, SECRET_KEY="dev")
    program = re.search(r"python3 -c '(.*)'$", str(refusal.value))
    assert program is not None

    made = subprocess.run([sys.executable, "-c", program[1]], capture_output=True, text=True, check=True)

    load(tmp_path, SECRET_KEY=made.stdout.strip())


def test_kept_secret_is_private_and_stays(tmp_path: Path) -> None:
    first = load_config({"INSTANCE_PATH": str(tmp_path)}).secret_key
    second = load_config({"INSTANCE_PATH": str(tmp_path)}).secret_key

    assert first == second
    assert len(first) >= 64
    (path,) = tmp_path.iterdir()
    assert path.name == "secret-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_that_start_at_once_keep_one_secret(tmp_path: Path) -> None:
    program = """
import sys, time
from meetup.config import load_config
environ = {"INSTANCE_PATH": sys.argv[1]}
print("ready", flush=True)
sys.stdin.readline()
print(load_config(environ).secret_key)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "instance")]
    starting = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    kept = [process.communicate(timeout=30)[0].strip() for process in starting]

    assert len(set(kept)) == 1
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["secret-key"]


def test_secret_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment before the secret is complete: another process that starts then finds none, and makes its own."""
    other: list[str] = []

    def start_another(_handle: int) -> None:
        monkeypatch.undo()
        other.append(load_config({"INSTANCE_PATH": str(tmp_path)}).secret_key)

    monkeypatch.setattr("os.fsync", start_another)

    first = load_config({"INSTANCE_PATH": str(tmp_path)}).secret_key

    assert other == [first]
    assert len(first) >= 64
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]


@pytest.mark.parametrize("kept", ["", "\n", "too short"])
def test_kept_file_without_a_secret_is_refused(tmp_path: Path, kept: str) -> None:
    (tmp_path / "secret-key").write_text(kept)

    with pytest.raises(BadSetting, match="holds no secret: put the former one back"):
        load(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "tickets.example.org",
        "ftp://x.org",
        "https://",
        "http:///path",
        "https://[::1",
        "http://x:port",
        "http://x:99999",
    ],
)
def test_base_url_that_makes_no_link_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        load(tmp_path, BASE_URL=url)

    assert str(refusal.value) == f"BASE_URL must look like https://tickets.example.org, not {url!r}"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://me@host/turnout", "postgresql+psycopg://me@host/turnout"),
        ("postgresql://me:p%40ss@h:5433/t?sslmode=require", "postgresql+psycopg://me:p%40ss@h:5433/t?sslmode=require"),
        ("postgresql+psycopg://host/turnout", "postgresql+psycopg://host/turnout"),
        ("sqlite:////var/lib/turnout.sqlite", "sqlite:////var/lib/turnout.sqlite"),
    ],
)
def test_database_url_is_taken_with_psycopg(tmp_path: Path, given: str, taken: str) -> None:
    assert with_driver(given) == taken
    assert load(tmp_path, DATABASE_URL=given)["DATABASE_URL"] == taken


@pytest.mark.parametrize("name", ["PORT", "WEB_CONCURRENCY", "TRUSTED_PROXIES", "MAIL_RETRY_SECONDS"])
@pytest.mark.parametrize("value", ["-1", "1.5", "ten", " 1", "١", "1" * 10])
def test_number_that_is_none_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        load(tmp_path, **{name: value, "BASE_URL": "http://localhost"})

    assert str(refusal.value) == f"{name} must be a whole number, not {value!r}"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.unit == "rate"])
def test_limit_that_limits_nothing_is_refused(tmp_path: Path, name: str) -> None:
    load(tmp_path, **{name: "10 per second; 100 per hour"})

    with pytest.raises(BadSetting) as refusal:
        load(tmp_path, **{name: "lots"})

    assert str(refusal.value) == f"{name} must look like '600 per 10 minutes', not 'lots'"


def test_language_that_is_not_spoken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="DEFAULT_LOCALE must be en or fr"):
        load(tmp_path, DEFAULT_LOCALE="de")


def test_every_setting_has_a_unit_and_a_meaning() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.unit and setting.meaning for setting in SETTINGS)
