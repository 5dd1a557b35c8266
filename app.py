"""Flask, gunicorn and a newcomer find the application here."""

import sys

from meetup import create_app
from meetup.config import BadSetting

try:
    app = create_app()
except BadSetting as error:
    # The sentence says all that a traceback could. By the code gunicorn sees that no other worker would start either.
    sys.stderr.write(f"{error}\n")
    sys.exit(4)
