"""The measure of all figures: a bare Flask endpoint that takes JSON and answers JSON, under the site's own gunicorn."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/bare")
def bare() -> Response:
    """Answer with what was asked."""
    asked = request.get_json()
    return jsonify({"outcome": "admitted", "name": asked["name"], "email": asked["email"]})


@app.get("/readyz")
def readyz() -> Response:
    """Say that the process is up, as the site does when it is ready."""
    return jsonify({"status": "ready"})
