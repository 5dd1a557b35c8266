"""Find the nginx for the test of two machines, bringing one in where there is none; print its path.

An installed one is taken first, else Debian's package is unpacked into a folder of its own, which needs no root. Ends
with 1 where neither is to be had.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACES = "/usr/sbin:/usr/local/sbin:/sbin"


def find_nginx(cache: Path) -> str | None:
    """Return the path of an nginx that starts, None when there is none; what is fetched is kept in the folder."""
    installed = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{PLACES}")
    unpacked = cache / "nginx" / "usr" / "sbin" / "nginx"
    if installed is None and not unpacked.exists():
        _unpack(cache)
    return next((path for path in (installed, str(unpacked)) if path is not None and _starts(path)), None)


def _unpack(cache: Path) -> None:
    """Unpack Debian's package; failing is left to be seen by looking for the program."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        if not _run(["apt-get", "download", "-qq", "nginx"], folder) and os.geteuid() == 0:
            _run(["apt-get", "update", "-qq"], folder)
            _run(["apt-get", "download", "-qq", "nginx"], folder)
        for package in Path(folder).glob("*.deb"):
            if _run(["dpkg", "-x", str(package), "unpacked"], folder):
                # Whole or not at all: two runs may do this at the same time.
                shutil.rmtree(cache / "nginx", ignore_errors=True)
                (Path(folder) / "unpacked").rename(cache / "nginx")


def _run(command: list[str], folder: str) -> bool:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _starts(path: str) -> bool:
    """A program may be there without the libraries that it needs."""
    try:
        return subprocess.run([path, "-v"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> int:
    """Print the path of nginx; return the exit code."""
    path = find_nginx(Path(sys.prefix) / "cache")
    if path is None:
        print("There is no nginx here: install it, or let apt-get download Debian's package.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
