"""What is at `/`, for programs and for browsers."""

import asyncio
from html.parser import HTMLParser
from pathlib import Path

import httpx

from fleetpulse.api.app import build_api
from fleetpulse.api.front_page import DOWN_MAX, front_page
from fleetpulse.app import build_parts
from fleetpulse.model.status import STATUSES
from fleetpulse.query.overview import Overview
from fleetpulse.settings import Settings
from memory_service import DAY, NOON, World, beat

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
NOTHING = dict.fromkeys(STATUSES, 0)


class Seen(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_counts_devices_and_lists_those_that_are_down() -> None:
    fleet = Overview(NOON, NOTHING | {"up": 7, "down": 2}, [("press-07", NOON - 15_000 * 10**9), ("a+b@c", NOON - DAY)])
    page = Seen(front_page(fleet))
    assert "9 devices" in page.text
    assert "2 devices down" in page.text
    assert "press-07since 2024-10-04T07:50:00Zfor 4 h 10 m" in page.text
    assert {"/docs", "/openapi.json", "/api/v1/devices/press-07", "/api/v1/devices/a%2Bb%40c"} <= set(page.links)
    assert not {"script", "img", "link", "iframe", "form"} & set(page.tags)
    assert "more" not in page.text.partition("More")[0]


def test_the_list_is_bounded_and_says_how_many_more_there_are() -> None:
    down = [(f"d{number}", NOON) for number in range(DOWN_MAX)]
    page = Seen(front_page(Overview(NOON, NOTHING | {"down": DOWN_MAX + 3}, down)))
    assert "and 3 more" in page.text
    assert "/api/v1/devices?status=down" in page.links


def test_what_people_wrote_is_escaped() -> None:
    evil = "<script>alert('&')</script>"
    page = front_page(Overview(NOON, NOTHING | {"down": 1}, [(evil, NOON)]), why_not_ready=evil)
    assert "<script" not in page
    assert Seen(page).text.count(evil) == 2


def test_an_empty_fleet_and_one_that_is_not_known_yet_are_told() -> None:
    assert "No device is declared yet" in front_page(Overview(NOON, NOTHING, []))
    assert "No device is down" in front_page(Overview(NOON, NOTHING | {"up": 1}, []))
    page = front_page(None, why_not_ready="starting: the journal is being replayed")
    assert "No events are accepted:" in page
    assert "down" not in Seen(page).text


def test_browsers_get_the_page_and_programs_the_text_of_the_contract(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        service = await world.started("press-07")
        await beat(service, "press-07")
        api = build_api(build_parts(Settings(), service))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api), base_url="http://localhost", headers={"x-request-id": "1"}
        ) as client:
            for accept in (
                "*/*",
                "",
                "application/json",
                "text/*",
                "text/html;q=0",
                "text/html;q=0.4, application/json",
            ):
                answer = await client.get("/", headers={"accept": accept})
                assert (answer.text, answer.headers["content-type"]) == ('"OK."', "application/json"), accept
                assert answer.headers["vary"] == "Accept"
            page = await client.get("/", headers={"accept": BROWSER})
            assert "1 device</h2><table><tr><td>up<td class=n>1</table><h2>No device is down" in page.text
            assert page.headers["vary"].startswith("Accept")
            assert page.headers["cache-control"] == "no-store"
            for shown in (page, await client.get("/docs")):
                assert shown.headers["content-type"] == "text/html; charset=utf-8"
                assert shown.headers["content-security-policy"].startswith("default-src 'none'; ")
                assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
                assert shown.headers["x-frame-options"] == "DENY"
                assert shown.headers["cross-origin-opener-policy"] == "same-origin"
            head = await client.head("/", headers={"accept": BROWSER})
            assert (head.headers, head.content) == (page.headers, b"")
        await service.node.stop()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api), base_url="http://localhost", headers={"x-request-id": "1"}
        ) as client:
            assert "stopping" in (await client.get("/", headers={"accept": BROWSER})).text

    asyncio.run(run())
