"""The poster for the door: it opens the walk-in form on a visitor's own phone."""

from flask import Blueprint, Response
from flask_babel import gettext as _

from meetup.clock import utc_now
from meetup.i18n import current_locale
from meetup.poster_file import Poster, poster_pdf
from meetup.site import current_site
from meetup.ticket_files import qr_matrix_for_url
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.public import event_url

bp = Blueprint("organiser_poster", __name__, url_prefix="/organise")


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/e/<slug>/poster.pdf")
@organiser_only
def show(slug: str) -> Response:
    """Return the poster as a page to print, in the organiser's language."""
    event = own_event(slug)
    address = f"{event_url(event)}/door"
    poster = Poster(
        title=event.title,
        call=_("No ticket?"),
        steps=_("Scan, type your name,\nshow your phone."),
        address=address,
        matrix=qr_matrix_for_url(address),
        language=current_locale(),
        font_folder=current_site().font_folder,
        made_at=utc_now(),
    )
    response = Response(poster_pdf(poster), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{event.slug}-poster.pdf"'
    return response
