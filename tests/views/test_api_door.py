"""The door API's shape: who may call it, what it refuses (contract section 5)."""

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meetup.storage.scans import Scan
from tests.factories import MadeDevice, World, bearer


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event()
    return world.device()


def post(client: FlaskClient, device: MadeDevice, body: Any, **options: Any) -> Any:
    return client.post("/api/v1/scans", json=body, headers=bearer(device.token), **options)


def scan(**more: Any) -> dict[str, Any]:
    return {"scan_id": str(uuid.uuid4()), "code": "AAAA-AAAA", "scanned_at": "2026-11-22T18:02:11.120Z"} | more


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (scan(scan_id="nonsense"), "scan_id"),
        (scan(scan_id=None), "scan_id"),
        (scan(scan_id=7), "scan_id"),
        (scan(code=None), "code"),
        (scan(code=""), "code"),
        (scan(code=["M1:"]), "code"),
        (scan(code="x" * 20_000), "code"),
        (scan(registration_id="both"), "code"),
        (scan(direction="sideways"), "direction"),
        (scan(direction=1), "direction"),
        (scan(scanned_at="yesterday"), "scanned_at"),
        (scan(scanned_at=1700000000), "scanned_at"),
        (scan(scanned_at="2026-02-30T10:00:00Z"), "scanned_at"),
        (scan(people=0), "people"),
        (scan(people=-1), "people"),
        (scan(people="2"), "people"),
        (scan(people=True), "people"),
        (scan(people=1.5), "people"),
        (scan(people=10**30), "people"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_a_malformed_scan_names_the_field_and_is_not_stored(
    client: FlaskClient, device: MadeDevice, session: Session, body: Any, field: str
) -> None:
    response = post(client, device, body)

    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert field in response.json["errors"]
    assert response.json["code"] == "invalid"
    assert session.execute(select(func.count()).select_from(Scan)).scalar_one() == 0


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[" * 100_000, b""])
def test_what_is_no_json_is_422(client: FlaskClient, device: MadeDevice, data: bytes) -> None:
    response = client.post("/api/v1/scans", data=data, content_type="application/json", headers=bearer(device.token))

    assert response.status_code == 422


def test_another_type_is_415_and_a_huge_body_413(client: FlaskClient, device: MadeDevice) -> None:
    form = client.post("/api/v1/scans", data={"code": "x"}, headers=bearer(device.token))
    huge = client.post(
        "/api/v1/scans", data=b"x" * 2_000_000, content_type="application/json", headers=bearer(device.token)
    )

    assert (form.status_code, huge.status_code) == (415, 413)
    assert form.mimetype == huge.mimetype == "application/problem+json"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic abc"}])
def test_nobody_scans_without_a_device(client: FlaskClient, device: MadeDevice, headers: dict[str, str]) -> None:
    response = client.post("/api/v1/scans", json=scan(), headers=headers)

    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "unknown_device"


def test_a_wrong_method_is_405_with_what_is_allowed(client: FlaskClient, device: MadeDevice) -> None:
    response = client.get("/api/v1/scans", headers=bearer(device.token))

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


class TestLimit:
    """A device that scans faster than anybody can walk."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"LIMIT_SCANS_PER_DEVICE": "3 per minute"}

    def test_429_says_when_to_come_back_and_other_devices_go_on(
        self, world: World, client: FlaskClient, device: MadeDevice
    ) -> None:
        statuses = [post(client, device, scan()).status_code for _ in range(4)]

        assert statuses == [200, 200, 200, 429]
        assert int(post(client, device, scan()).headers["Retry-After"]) >= 1
        assert post(client, world.device(), scan()).status_code == 200


def search(client: FlaskClient, device: MadeDevice, text: str) -> list[dict[str, Any]]:
    response = client.get("/api/v1/door/search", query_string={"q": text}, headers=bearer(device.token))
    assert response.status_code == 200
    assert response.json is not None
    items: list[dict[str, Any]] = response.json["items"]
    return items


@pytest.mark.parametrize("text", ["helene", "HÉLÈNE", "lefevre hel", "brontë", "helene.lef", "%", "_", "\x00"])
def test_search_ignores_accents_and_case(world: World, client: FlaskClient, device: MadeDevice, text: str) -> None:
    world.register(name="Hélène Lefèvre", email="helene.lefevre@example.org")
    world.register(name="Anne Brontë", email="anne@example.org")

    found = [item["name"] for item in search(client, device, text)]

    wanted = {"brontë": ["Anne Brontë"], "%": [], "_": [], "\x00": []}
    assert found == wanted.get(text, ["Hélène Lefèvre"])


@pytest.mark.parametrize("text", ["lovelase", "ada lovelce", "Lovlace"])
def test_search_forgives_a_typing_mistake(world: World, client: FlaskClient, device: MadeDevice, text: str) -> None:
    world.register(name="Ada Lovelace")
    world.register(name="Grace Hopper")

    assert [item["name"] for item in search(client, device, text)] == ["Ada Lovelace"]


@pytest.mark.parametrize("text", ["zzzz", "xyz", "q"])
def test_search_does_not_guess_wildly(world: World, client: FlaskClient, device: MadeDevice, text: str) -> None:
    world.register(name="Ada Lovelace")

    assert search(client, device, text) == []


def test_search_masks_the_address_and_finds_short_codes(world: World, client: FlaskClient, device: MadeDevice) -> None:
    ticket = world.register(email="ada.lovelace@example.org")

    items = search(client, device, ticket.short_code.lower())

    assert [item["id"] for item in items] == [ticket.public_id]
    assert items[0]["email"] == "a•••@example.org"
    assert items[0]["state"] == "confirmed"


def test_search_gives_twenty_at_most_and_only_of_its_event(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    world.event("other")
    world.register("other", name="Ada Elsewhere")
    for number in range(25):
        world.register(name=f"Ada {number}")

    found = search(client, device, "ada")

    assert len(found) == 20
    assert "Ada Elsewhere" not in {item["name"] for item in found}


def test_a_paired_phone_scans_with_its_cookie(world: World, client: FlaskClient, device: MadeDevice) -> None:
    ticket = world.register()
    assert client.get(device.pairing_path).status_code == 200
    assert client.get(device.pairing_path).status_code == 200

    paired = client.post(device.pairing_path)

    assert (paired.status_code, paired.headers["Location"]) == (303, "/door")
    response = client.post("/api/v1/scans", json=scan(code=ticket.code))
    assert response.json is not None
    assert response.json["outcome"] == "admitted"
    again = world.scan(device, ticket.code)
    assert again.json is not None
    assert again.json["first"]["device"] == "Phone 1"


def test_a_pairing_link_works_once(world: World, client: FlaskClient, device: MadeDevice) -> None:
    assert client.post(device.pairing_path).status_code == 303

    other = world.app.test_client()
    assert other.get(device.pairing_path).status_code == 410
    assert other.post(device.pairing_path).status_code == 410
    assert other.post("/door/pair/unknown").status_code == 410


def test_a_cookie_does_not_scan_for_another_site(client: FlaskClient, device: MadeDevice) -> None:
    client.post(device.pairing_path)

    response = client.post("/api/v1/scans", json=scan(), headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403


def test_the_door_sends_an_unpaired_phone_for_its_link(world: World, client: FlaskClient, device: MadeDevice) -> None:
    assert client.get("/door").status_code == 401
    client.post(device.pairing_path)

    page = client.get("/door")

    assert page.status_code == 200
    assert "'wasm-unsafe-eval'" in page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
