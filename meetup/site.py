"""What one running site is made of beside its database: settings and the key vault."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import current_app

from meetup.config import Config
from meetup.key_vault import KeyVault

# A file in INSTANCE_PATH: last written when a proxy named its client and nobody believed it.
UNHEEDED_PROXY = "proxy-seen"


@dataclass(frozen=True)
class Site:
    """The settings of this process, the vault that opens the events' keys, and where the PDF's fonts are."""

    config: Config
    vault: KeyVault
    font_folder: Path


def current_site() -> Site:
    """Return the site of the running application; needs an application context."""
    return cast(Site, current_app.extensions["turnout"])
