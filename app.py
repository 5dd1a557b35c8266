"""Flask, gunicorn and a newcomer find the application here."""

from meetup import create_app

app = create_app()
