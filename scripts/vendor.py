"""Copy the browser files that `npm ci` brought in, and their licences, to meetup/static/vendor.

Only the files named here are copied: no bundler, and nothing of third parties is committed.
Run from anywhere; ends with status 1 and a sentence on standard error when a file is missing.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "node_modules"
VENDOR = ROOT / "meetup" / "static" / "vendor"
COPIES = {
    "zxing-wasm/dist/iife/reader/index.js": "zxing-wasm/reader.js",
    "zxing-wasm/dist/reader/zxing_reader.wasm": "zxing-wasm/zxing_reader.wasm",
    "zxing-wasm/LICENSE": "zxing-wasm/LICENSE",
    "dejavu-fonts-ttf/ttf/DejaVuSans.ttf": "dejavu/DejaVuSans.ttf",
    "dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf": "dejavu/DejaVuSans-Bold.ttf",
    "dejavu-fonts-ttf/LICENSE": "dejavu/LICENSE",
}


def copy_all() -> None:
    """Lay every named file where the pages and the PDF maker look for it."""
    for source, target in COPIES.items():
        place = VENDOR / target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGES / source, place)


def main() -> int:
    """Copy, and say plainly what to do when npm has not run."""
    try:
        copy_all()
    except FileNotFoundError as missing:
        print(f"{missing.filename} is missing: run `npm ci` first.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
