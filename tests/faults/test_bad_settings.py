"""A setting that cannot work: gunicorn ends at once and says which, in a sentence and not in a traceback."""

import subprocess
from collections.abc import Callable

import pytest

from tests.faults.site import Site


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_LOCALE", "tlh"),
        ("LIMIT_LOGIN_PER_ACCOUNT", "often"),
        ("DATABASE_URL", "a database"),
        ("REDIS_URL", "here"),
    ],
)
def test_gunicorn_says_in_one_sentence_which_setting_cannot_work(
    new_site: Callable[..., Site], name: str, value: str
) -> None:
    site = new_site(**{name: value})

    site.launch()

    assert site.web is not None
    try:
        code = site.web.wait(20)
    except subprocess.TimeoutExpired:
        pytest.fail(f"gunicorn goes on starting workers: {site.last_words()}")
    words = site.last_words()
    assert code == 4
    assert "Traceback" not in words
    said = {line for line in words.splitlines() if line.startswith(f"{name} must ")}
    assert len(said) == 1
    assert "Reason: App failed to load." in words


def test_command_says_it_in_the_same_sentence(new_site: Callable[..., Site]) -> None:
    site = new_site(DEFAULT_LOCALE="tlh")

    command = site.start_command("settings")

    assert command.wait(20) == 4
    assert site.last_words("command.log") == "DEFAULT_LOCALE must be en or fr\n"
