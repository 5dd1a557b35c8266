"""What deploy/ says is true: its files parse, their settings exist, and they agree with the site and each other."""

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from meetup.config import ROOT, SETTINGS, load_config
from tests.faults.machines import command, need_nginx, write_settings
from tests.faults.servers import free_port

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OWN = {setting.name for setting in SETTINGS}
# What the files set for others than the site.
OTHERS = {
    "FLASK_APP",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "POSTGRES_DB",
    "POSTGRES_INITDB_ARGS",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_USER",
}
# NAME=value in a shell-like file, `NAME: value` and `name: NAME` in YAML.
NAMES = re.compile(r"\b([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?==|: )|name: ([A-Z][A-Z0-9_]+)")


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def gunicorn() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def unit(path: Path) -> dict[str, list[str]]:
    """Return the settings of a unit; of one that stands there several times, each."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def example() -> dict[str, str]:
    lines = (DEPLOY / "turnout.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_setting_that_is_named_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    named = {name or other for path in files for name, other in NAMES.findall(path.read_text())}
    assert {"DATABASE_URL", "TRUSTED_PROXIES", "WEB_CONCURRENCY", "INSTANCE_PATH"} <= named
    assert named - OWN - OTHERS == set()


def test_a_setting_that_does_not_exist_would_be_seen() -> None:
    assert NAMES.findall("TRUSTED_PROXY=1\n{name: WEB_CONCURENCY, value: 2}\nNO_SUCH: 1") == [
        ("TRUSTED_PROXY", ""),
        ("", "WEB_CONCURENCY"),
        ("NO_SUCH", ""),
    ]


def test_example_is_refused_until_it_is_filled_in_and_taken_then(tmp_path: Path) -> None:
    filled = example() | {"SECRET_KEY": "k7Qw9zXe2Rt5Yu8Io1Pa4Sd6Fg3Hj0Kl", "INSTANCE_PATH": str(tmp_path)}
    config = load_config(filled)
    assert (config.base_url, config.number("TRUSTED_PROXIES")) == ("https://tickets.example.org", 1)
    assert example()["SECRET_KEY"] == ""


def test_compose_has_two_machines_a_worker_and_what_they_need() -> None:
    services = compose()["services"]
    assert set(services) == {"migrate", "web-1", "web-2", "worker", "postgres", "redis", "nginx"}
    assert services["web-1"] == services["web-2"]
    assert services["worker"]["command"] == ["flask", "worker"]
    for name in ("migrate", "web-1", "worker"):
        assert services[name]["read_only"] is True
        assert services[name]["env_file"] == "turnout.env"
    assert all("healthcheck" in services[name] for name in ("web-1", "postgres", "redis"))
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]


def test_compose_mounts_files_that_are_there() -> None:
    mounted = [each.split(":")[0] for each in compose()["services"]["nginx"]["volumes"]]
    missing = {name for name in mounted if not (DEPLOY / name).exists()}
    assert missing == {"./nginx/tls.crt", "./nginx/tls.key"}
    assert (DEPLOY / compose()["x-site"]["build"]["context"] / compose()["x-site"]["build"]["dockerfile"]).exists()


def test_image_runs_without_root_and_takes_no_secret_along() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^(?:USER|CMD) .*", image, re.M) == ["USER 10001", 'CMD ["gunicorn", "app:app"]']
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {"instance", "deploy/turnout.env", "deploy/db.password", "deploy/nginx/tls.key"} <= set(ignored)


def test_everybody_waits_longer_than_gunicorn_needs_to_stop() -> None:
    needed = gunicorn()["graceful_timeout"]
    spec = kubernetes()[("Deployment", "turnout-web")]["spec"]["template"]["spec"]
    pause = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert gunicorn()["BODY_SECONDS"] < needed
    assert needed < int(compose()["services"]["web-1"]["stop_grace_period"].removesuffix("s"))
    assert needed < int(unit(DEPLOY / "systemd" / "turnout-web.service")["TimeoutStopSec"][0])
    assert needed + pause < spec["terminationGracePeriodSeconds"]


def test_proxies_give_up_kept_connections_before_gunicorn_does() -> None:
    keepalive = gunicorn()["keepalive"]
    nginx = re.search(
        r"keepalive \d+;.*?keepalive_timeout (\d+)s;", (DEPLOY / "nginx" / "nginx.conf").read_text(), re.S
    )
    haproxy = re.findall(r"pool-purge-delay (\d+)s", (DEPLOY / "haproxy" / "haproxy.cfg").read_text())
    assert nginx is not None
    assert max(int(each) for each in (nginx[1], *haproxy)) < keepalive


def test_kubernetes_probes_what_the_site_answers() -> None:
    documents = kubernetes()
    web = documents[("Deployment", "turnout-web")]["spec"]["template"]["spec"]["containers"][0]
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert ("PodDisruptionBudget", "turnout-web") in documents
    assert "CronJob" not in {kind for kind, _name in documents}


@pytest.mark.parametrize("path", UNITS, ids=[path.name for path in UNITS])
def test_units_run_the_site_as_nobody_in_particular(path: Path) -> None:
    settings = unit(path)
    assert settings["User"] == ["turnout"]
    assert settings["EnvironmentFile"] == ["/etc/turnout/turnout.env"]
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["ExecStart"][0].removeprefix("/srv/turnout/.venv/bin/") in (
        "gunicorn app:app",
        "flask --app app worker",
    )


@pytest.mark.parametrize("path", UNITS, ids=[path.name for path in UNITS])
def test_units_are_good_to_systemd(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("SKIPPED LOUDLY: there is no systemd-analyze here")
    copy = tmp_path / path.name
    # It looks whether the programs are there.
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if path.name in line] == []


def test_nginx_takes_its_settings(tmp_path: Path) -> None:
    program = need_nginx()
    settings = write_settings(tmp_path, (free_port(), free_port()), (free_port(), free_port()))
    done = subprocess.run(command(program, settings, "-t"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_haproxy_takes_its_settings(tmp_path: Path) -> None:
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("SKIPPED LOUDLY: there is no haproxy here")
    write_settings(tmp_path, (1, 2), (3, 4))
    (tmp_path / "tls.pem").write_text((tmp_path / "tls.crt").read_text() + (tmp_path / "tls.key").read_text())
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text().replace("/etc/turnout", str(tmp_path))
    (tmp_path / "haproxy.cfg").write_text(re.sub(r"web-\d:8000", "127.0.0.1:8000", text))
    done = subprocess.run(
        [program, "-c", "-f", "haproxy.cfg"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
