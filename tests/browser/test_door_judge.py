"""What a phone decides by itself: the module that does it, asked in the browser that it runs in (rules 4.5 to 4.9)."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import LiveServer

NOON = 1_800_000_000_000
# Takes an event's settings, roster rows, removed hashes, and steps; each step is a request on a hash, let in when
# judged so. Returns what came of the steps.
JUDGE = """async ({ event, rows, removed, inside, isGenuine, now, steps }) => {
  const { judge } = await import("/static/door/judge.js");
  const { Roster } = await import("/static/door/roster.js");
  const { Entered } = await import("/static/door/entered.js");
  const [roster, entered] = [new Roster(), new Entered()];
  roster.take({ tickets: rows, removed, cursor: "1", event, more: false }, now);
  return steps.map(({ hash, eventNumber = 7, kind = "ticket", ...request }, index) => {
    const known = { event, roster, entered, inside: inside + entered.uncounted(), now, isGenuine };
    const said = judge({ kind, hash, eventNumber }, { direction: "in", people: null, ...request }, known);
    if (said === null) return "nobody knows";
    const record = { scan_id: String(index), hash, direction: request.direction ?? "in", people: said.people };
    if (said.people) entered.put({ ...record, at: now + index, gate: "North", device: "Phone 1", isAnswered: false });
    return said.reason ?? `admitted ${said.people}`;
  });
}"""
ROWS = [
    ["ada", "Ada", "confirmed", 0, "General", 1, 0, "r1", None],
    ["party", "Party", "confirmed", 0, "General", 4, 1, "r2", None],
    ["gone", "Gone", "cancelled", 0, "General", 1, 0, "r3", None],
    ["waits", "Waits", "waitlisted", 0, "General", 1, 0, "r4", None],
    ["in", "In", "confirmed", 1, "General", 1, 1, "r5", None],
]


@pytest.fixture(scope="module")
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{live_server.base_url}/door")
    yield page
    page.close()


def judge(page: Page, *steps: dict[str, Any], **more: Any) -> list[str]:
    event = {"event_number": 7, "venue_limit": None, "re_entry": True, **more.pop("event", {})}
    asked = {
        "event": event,
        "rows": ROWS,
        "removed": ["old"],
        "inside": 0,
        "isGenuine": True,
        "now": NOON,
        "steps": steps,
    }
    said: list[str] = page.evaluate(JUDGE, asked | more)
    return said


def come(hash: str, **more: Any) -> dict[str, Any]:
    return {"hash": hash, **more}


def leave(hash: str, **more: Any) -> dict[str, Any]:
    return {"hash": hash, "direction": "out", **more}


def test_states_and_hashes_give_their_reasons(page: Page) -> None:
    said = judge(page, come("gone"), come("waits"), come("in"), come("old"), come("ada", eventNumber=8))

    assert said == ["cancelled", "not_confirmed", "already_in", "revoked", "wrong_event"]


def test_texts_and_short_codes_are_told_apart(page: Page) -> None:
    said = judge(page, come("", kind="text"), come("", kind="damaged"), come("", kind="short"))

    assert said == ["unknown", "bad_signature", "nobody knows"]


def test_ticket_too_new_for_the_roster_is_admitted_once_when_signed(page: Page) -> None:
    steps = [come("new"), come("new")]

    assert judge(page, *steps) == ["admitted 1", "already_in"]
    assert judge(page, *steps, isGenuine=False) == ["bad_signature", "bad_signature"]
    assert judge(page, *steps, isGenuine=None) == ["unknown", "unknown"]


def test_browser_without_signatures_still_admits_by_the_roster(page: Page) -> None:
    assert judge(page, come("ada"), come("ada"), isGenuine=None) == ["admitted 1", "already_in"]


def test_party_comes_in_parts_and_leaves_in_parts(page: Page) -> None:
    said = judge(
        page,
        come("party", people=1),
        come("party"),
        come("party"),
        leave("party", people=3),
        leave("party"),
        leave("party"),
        come("party", people=9),
    )

    assert said == ["admitted 1", "admitted 2", "already_in", "admitted -3", "admitted -1", "not_inside", "admitted 4"]


def test_second_entry_is_refused_where_the_event_has_none(page: Page) -> None:
    steps = [come("ada"), leave("ada"), come("ada")]

    assert judge(page, *steps) == ["admitted 1", "admitted -1", "admitted 1"]
    assert judge(page, *steps, event={"re_entry": False}) == ["admitted 1", "admitted -1", "already_in"]


def test_venue_limit_counts_what_this_phone_let_in(page: Page) -> None:
    steps = [come("ada"), come("party"), come("party", people=1), come("party", override="crew")]

    assert judge(page, *steps, inside=8, event={"venue_limit": 10}) == [
        "admitted 1",
        "venue_full",
        "admitted 1",
        "admitted 2",
    ]


def test_doors_are_shut_by_the_server_s_clock(page: Page) -> None:
    opens = {"doors_open_at": "2027-01-15T08:00:01Z"}
    closes = {"doors_close_at": "2027-01-15T08:00:00Z"}

    assert judge(page, come("ada"), come("ada", override="crew"), event=opens) == ["too_early", "admitted 1"]
    assert judge(page, come("ada"), leave("in"), event=closes) == ["closed", "admitted -1"]


def test_scan_that_was_sent_is_remembered_until_the_roster_knows(page: Page) -> None:
    changes = page.evaluate(
        """async () => {
          const { Entered } = await import("/static/door/entered.js");
          const entered = new Entered();
          const seen = [];
          const look = () => seen.push([entered.changeOf("ada"), entered.uncounted(), entered.firstOf("ada")?.gate]);
          entered.put({ scan_id: "1", hash: "ada", direction: "in", people: 1, at: 1, gate: "North", device: "A" });
          look();
          entered.answer("1");
          look();
          entered.settle(entered.listAnswered());
          look();
          return seen;
        }"""
    )

    assert changes == [[1, 1, "North"], [1, 0, "North"], [0, 0, "North"]]


def test_roster_survives_a_reload_with_its_changes(page: Page) -> None:
    found = page.evaluate(
        """async () => {
          const { Roster } = await import("/static/door/roster.js");
          const disk = {};
          const write = (changes) => { for (const [, record] of changes) disk[record.part] = record; };
          const row = (number, state) => [`hash${number}`, `Name ${number}`, state, 0, "General", 1, 0, `r${number}`];
          const event = { slug: "e" };
          const roster = new Roster();
          const many = Array.from({ length: 3000 }, (_, number) => row(number, "confirmed"));
          write(roster.take({ tickets: many, removed: [], cursor: "1.1", event, more: true }, 5));
          write(roster.take({ tickets: [row(7, "cancelled")], removed: ["hash8"], cursor: "2.2", event }, 6));
          const again = new Roster();
          again.load(Object.values(disk));
          return [again.count(), again.find("hash7").state, again.find("hash8"), again.isRemoved("hash8"), again.cursor,
            again.syncedAt, again.isComplete, again.findHash("r9"), again.search("näme 299").length];
        }"""
    )

    assert found == [2999, "cancelled", None, True, "2.2", 6, True, "hash9", 13]
