"""Every setting and every command stands in docs/operations.md."""

import re

import pytest
from flask import Flask

from meetup.config import SETTINGS
from tests.rules.sources import ROOT

OPERATIONS = ROOT / "docs" / "operations.md"
# These come with Flask and Flask-Migrate; of `db` the contract promises `db upgrade`.
NOT_OURS = {"db", "routes", "run", "shell"}


@pytest.fixture
def text() -> str:
    return OPERATIONS.read_text()


def unnamed(words: list[str], text: str) -> list[str]:
    """Return the words that do not stand in a text, each as a word of its own."""
    return [word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)]


def test_every_setting_is_explained(text: str) -> None:
    assert unnamed([setting.name for setting in SETTINGS], text) == []


def test_every_command_is_explained(app: Flask, text: str) -> None:
    assert unnamed(["db upgrade", *sorted(set(app.cli.commands) - NOT_OURS)], text) == []


def test_words_that_are_missing_are_seen() -> None:
    assert unnamed(["PORT", "create-event", "demo"], "`SMTP_PORT`, `create-events`: run `flask demo`.") == [
        "PORT",
        "create-event",
    ]
