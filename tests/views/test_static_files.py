"""Static files: kept for ever under the address of their content, asked for anew under any other."""

import re

from flask.testing import FlaskClient

from tests.factories import World

FOR_EVER = "public, max-age=31536000, immutable"


def versioned_url(client: FlaskClient) -> str:
    found = re.search(r"/static/css/app\.css\?v=[0-9a-f]{10}", client.get("/").text)
    assert found is not None
    return found[0]


def fetch(client: FlaskClient, url: str, **headers: str) -> tuple[int, str | None, str]:
    """Return (status, Cache-Control, ETag) of a file."""
    with client.get(url, headers=headers) as response:
        response.get_data()
        return response.status_code, response.headers.get("Cache-Control"), response.headers.get("ETag", "")


def test_file_under_the_address_of_its_content_is_kept_for_ever(client: FlaskClient, world: World) -> None:
    url = versioned_url(client)
    status, kept, etag = fetch(client, url)
    assert (status, kept) == (200, FOR_EVER)
    assert fetch(client, url, **{"If-None-Match": etag}) == (304, FOR_EVER, etag)


def test_file_under_the_address_of_another_version_is_not_kept(client: FlaskClient, world: World) -> None:
    plain, version = versioned_url(client).split("?v=")
    urls = (plain, f"{plain}?v=0000000000", f"{plain}?v=", f"{plain}?w={version}")
    assert [fetch(client, url)[:2] for url in urls] == [(200, "no-cache")] * 4


def test_file_that_is_not_there_is_not_kept(client: FlaskClient) -> None:
    status, kept, _etag = fetch(client, "/static/css/missing.css?v=0")
    assert (status, kept) == (404, "no-store")
