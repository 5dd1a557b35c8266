"""Turnout: registration, tickets, check-in and the live headcount of a meetup."""

import logging
import os
from collections.abc import Mapping

from flask import Flask, Response, request
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from meetup import cli
from meetup.config import ROOT, Config, load_config
from meetup.i18n import LOCALE_COOKIE, LOCALE_PARAMETER, LOCALES, babel, select_locale
from meetup.key_vault import KeyVault
from meetup.site import Site
from meetup.storage.db import db, let_go_of_lost_connection
from meetup.storage.engine import configure_engine, engine_options
from meetup.views import BLUEPRINTS, page_globals
from meetup.views.admission import configure_admission
from meetup.views.error_pages import configure_error_pages
from meetup.views.form_limits import configure_form_limits
from meetup.views.lean_flask import LeanFlask
from meetup.views.limits import configure_limiter
from meetup.views.metrics import configure as configure_metrics
from meetup.views.security_headers import refuse_nul, trusted_hosts, with_security_headers

LARGEST_BODY_BYTES = 1024 * 1024
LOCALE_COOKIE_SECONDS = 365 * 24 * 3600

migrate = Migrate()


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Return the application for the given settings, by default those of the environment."""
    config = load_config(os.environ if environ is None else environ)
    app = LeanFlask(__name__, template_folder=str(ROOT / "templates"), instance_path=str(config.instance_path))
    _configure_app(app, config)
    _configure_database(app, config)
    _configure_locales(app, config)
    configure_limiter(app, config)
    configure_form_limits(app)
    configure_error_pages(app)
    page_globals.configure(app)
    app.before_request(refuse_nul)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    cli.configure(app)
    app.after_request(with_security_headers)
    configure_metrics(app)
    configure_admission(app, config)
    return app


def _configure_app(app: Flask, config: Config) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # It tells every table of every font that it cuts down for a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    # It names the key of every limit that is passed: an address, which no log may hold.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    app.secret_key = config.secret_key
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.config["TRUSTED_HOSTS"] = trusted_hosts(config)
    app.config["TEMPLATES_AUTO_RELOAD"] = False
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["turnout"] = Site(
        config, KeyVault(config.secret_key), ROOT / "meetup" / "static" / "vendor" / "dejavu"
    )
    hops = config.number("TRUSTED_PROXIES")
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def _configure_database(app: Flask, config: Config) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = config["DATABASE_URL"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(config["DATABASE_URL"])
    db.init_app(app)
    # Before the session is closed: what is registered last is done first.
    app.teardown_appcontext(let_go_of_lost_connection)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), render_as_batch=False)
    with app.app_context():
        configure_engine(db.engine)


def _configure_locales(app: Flask, config: Config) -> None:
    app.config["BABEL_DEFAULT_LOCALE"] = config["DEFAULT_LOCALE"]
    babel.init_app(app, locale_selector=select_locale)

    @app.after_request
    def _keep_language(response: Response) -> Response:
        asked = request.args.get(LOCALE_PARAMETER)
        if asked in LOCALES and request.method == "GET":
            is_secure = config.has_tls
            response.set_cookie(LOCALE_COOKIE, asked, max_age=LOCALE_COOKIE_SECONDS, samesite="Lax", secure=is_secure)
        return response
