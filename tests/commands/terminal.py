"""Running a command as an operator does, and what it must keep to whatever it does."""

import json
from typing import Any

from flask import Flask


def run(app: Flask, *words: str, typed: str = "") -> dict[str, Any]:
    """Run a command that works; return the one JSON object that it prints."""
    result = app.test_cli_runner().invoke(args=words, input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return _only_object(result.stdout)


def refusal(app: Flask, *words: str, typed: str = "") -> str:
    """Run a command that is refused; return the one line that says why. Nothing stands on standard output."""
    result = app.test_cli_runner().invoke(args=words, input=typed, catch_exceptions=False)
    assert result.exit_code in (1, 2), result.output
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in result.stderr
    return line.removeprefix("Error: ")


def report(app: Flask, *words: str) -> tuple[int, dict[str, Any]]:
    """Run a command that tells by its exit code whether all is well; return the code and the object."""
    result = app.test_cli_runner().invoke(args=words, catch_exceptions=False)
    return result.exit_code, _only_object(result.stdout)


def _only_object(printed: str) -> dict[str, Any]:
    (line,) = printed.splitlines()
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer
