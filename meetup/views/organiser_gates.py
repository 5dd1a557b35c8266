"""The organiser's gates and phones: making them, pairing a phone by link or QR code, shutting one out."""

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import gates as rules
from meetup.errors import Invalid
from meetup.site import current_site
from meetup.storage import devices, scans
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.text_input import clean_line
from meetup.ticket_files import qr_matrix_for_url, qr_svg
from meetup.views.device_words import report_of
from meetup.views.forms import FormView, words_of
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.organiser_pages import row_id, signed_in_actor

bp = Blueprint("organiser_gates", __name__, url_prefix="/organise")


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/e/<slug>/gates")
@organiser_only
def index(slug: str) -> str:
    """Show the gates of an event and the phones at each."""
    return _render(own_event(slug), FormView())


def _render(event: Event, form: FormView) -> str:
    session = db.session()
    now = utc_now()
    reported = [(gate.id, device, report_of(device, now)) for device, gate in devices.list_devices(session, event.id)]
    listed = [
        {"gate": gate, "devices": [(device, report) for gate_id, device, report in reported if gate_id == gate.id]}
        for gate in scans.list_gates(session, event.id)
    ]
    return render_template("organiser/gates.html", event=event, gates=listed, form=form, notice=_notice())


def _notice() -> str | None:
    sentences = {"gate": _("The gate is made."), "revoked": _("The phone is shut out. It can no longer scan.")}
    return sentences.get(request.args.get("done", ""))


@bp.post("/e/<slug>/gates")
@organiser_only
def create_gate(slug: str) -> BaseResponse | tuple[str, int]:
    """Make a gate."""
    event = own_event(slug)
    typed = request.form.get("name", "")
    try:
        with transaction() as session:
            rules.create_gate(session, event, clean_line(typed), signed_in_actor(), utc_now())
    except Invalid as error:
        return _render(event, FormView({"name": typed}, words_of(error.errors))), 422
    return redirect(url_for("organiser_gates.index", slug=slug, done="gate"), code=303)


@bp.post("/e/<slug>/devices")
@organiser_only
def create_device(slug: str) -> str:
    """Make a device at a gate and show its pairing link this once."""
    event = own_event(slug)
    gate_id = row_id(request.form.get("gate", ""))
    is_supervisor = request.form.get("is_supervisor") == "1"
    with transaction() as session:
        gate = rules.get_gate(session, event, gate_id)
        new = rules.create_device(session, event, gate, signed_in_actor(), utc_now(), is_supervisor=is_supervisor)
        code = rules.create_pairing(session, new.device, utc_now())
        public_id = new.device.public_id
    return _render_pairing(event, public_id, code)


@bp.post("/e/<slug>/devices/<public_id>/pair")
@organiser_only
def pair_again(slug: str, public_id: str) -> str:
    """Make a new pairing link for a device and show it this once."""
    event = own_event(slug)
    with transaction() as session:
        code = rules.create_pairing_again(session, event, public_id, signed_in_actor(), utc_now())
    return _render_pairing(event, public_id, code)


def _render_pairing(event: Event, public_id: str, code: str) -> str:
    url = f"{current_site().config.base_url}/door/pair/{code}"
    device, gate = devices.get_device_with_gate(db.session(), event.id, public_id)
    return render_template(
        "organiser/pairing.html",
        event=event,
        device=device,
        gate=gate,
        pair_url=url,
        qr_svg=qr_svg(qr_matrix_for_url(url), _("QR code of the pairing link")),
    )


@bp.post("/e/<slug>/devices/<public_id>/revoke")
@organiser_only
def revoke(slug: str, public_id: str) -> BaseResponse:
    """Shut a device out for good."""
    event = own_event(slug)
    with transaction() as session:
        rules.revoke_device(session, event, public_id, signed_in_actor(), utc_now())
    return redirect(url_for("organiser_gates.index", slug=slug, done="revoked"), code=303)
