"""Signing in and out (rules 5.3)."""

import pytest
from flask.testing import FlaskClient

from tests.factories import PASSWORD, World


def sign_in(client: FlaskClient, password: str = PASSWORD, email: str = "olga@example.org") -> int:
    return client.post("/organise/sign-in", data={"email": email, "password": password}).status_code


def test_sign_in_goes_on_to_where_one_wanted(world: World, client: FlaskClient) -> None:
    world.organiser()

    sent = client.get("/organise/events/new")
    assert sent.status_code == 303
    response = client.post(sent.headers["Location"], data={"email": "OLGA@example.org", "password": PASSWORD})

    assert (response.status_code, response.headers["Location"]) == (303, "/organise/events/new")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
    ],
)
def test_sign_in_never_leads_to_another_site(world: World, client: FlaskClient, wanted: str) -> None:
    world.organiser()

    response = client.post(
        "/organise/sign-in", data={"email": "olga@example.org", "password": PASSWORD, "next": wanted}
    )

    assert response.headers["Location"] == "/organise/"


@pytest.mark.parametrize(
    ("email", "password"), [("olga@example.org", "wrong"), ("nobody@example.org", PASSWORD), ("", "")]
)
def test_a_wrong_sign_in_is_401_and_does_not_say_what_was_wrong(
    world: World, client: FlaskClient, email: str, password: str
) -> None:
    world.organiser()

    response = client.post("/organise/sign-in", data={"email": email, "password": password})

    assert response.status_code == 401
    assert "The e-mail address or the password is wrong." in response.get_data(as_text=True)


def test_sign_out_ends_every_copy_of_the_cookie(world: World) -> None:
    client = world.signed_in()
    cookie = client.get_cookie("turnout_session")
    assert cookie is not None
    page = client.get("/organise/password").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]

    assert client.post("/organise/sign-out", data={"csrf_token": token}).status_code == 303

    thief = world.app.test_client()
    thief.set_cookie("turnout_session", cookie.value)
    assert thief.get("/organise/password").status_code == 303


def test_sign_out_without_the_token_is_403(world: World) -> None:
    client = world.signed_in()

    assert client.post("/organise/sign-out").status_code == 403
    assert client.get("/organise/password").status_code == 200


def test_a_new_session_has_a_new_id(world: World) -> None:
    client = world.signed_in()
    first = client.get_cookie("turnout_session")
    client.post("/organise/sign-in", data={"email": "olga@example.org", "password": PASSWORD})
    second = client.get_cookie("turnout_session")

    assert first is not None and second is not None
    assert first.value != second.value


def test_change_of_password_ends_the_other_sessions(world: World) -> None:
    client, other = world.signed_in(), world.signed_in()
    page = client.get("/organise/password").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"csrf_token": token, "password": PASSWORD, "new_password": "an even quieter evening"}

    assert client.post("/organise/password", data=form).status_code == 303

    assert client.get("/organise/password").status_code == 200
    assert other.get("/organise/password").status_code == 303
    assert sign_in(world.app.test_client(), "an even quieter evening") == 303


@pytest.mark.parametrize("new", ["short", "x" * 129, "1234567890"])
def test_a_bad_new_password_is_422(world: World, new: str) -> None:
    client = world.signed_in()
    page = client.get("/organise/password").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]

    response = client.post("/organise/password", data={"csrf_token": token, "password": PASSWORD, "new_password": new})

    assert response.status_code == 422


def test_guessing_is_slowed_and_the_owners_own_browser_is_not_locked_out(world: World) -> None:
    owner = world.signed_in()
    stranger = world.app.test_client()

    statuses = [sign_in(stranger, f"guess number {number}") for number in range(8)]

    assert 429 in statuses
    assert sign_in(stranger) == 429
    assert sign_in(owner) == 303


class TestOverTls:
    """A site whose own address is https."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"BASE_URL": "https://localhost"}

    def test_cookies_are_bound_to_the_host(self, world: World, client: FlaskClient) -> None:
        world.organiser()

        response = client.post(
            "/organise/sign-in",
            data={"email": "olga@example.org", "password": PASSWORD},
            base_url="https://localhost",
        )

        cookies = response.headers.getlist("Set-Cookie")
        session = next(each for each in cookies if "turnout_session" in each)
        assert session.startswith("__Host-turnout_session=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(session.split("; "))
        assert "max-age=31536000" in response.headers["Strict-Transport-Security"]
