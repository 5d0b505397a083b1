"""The dashboard on the operator's address (--admin), in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from programs import wait_until
from test_admin import Admin, admin  # noqa: F401 (a fixture)
from test_channel_settings import post
from test_differential import browser  # noqa: F401 (a fixture)
from test_page import Page, fetch

FILES = ["/", "/wsbroadcast/dashboard.css", "/wsbroadcast/dashboard.js"]


class Dashboard(Page):
    """As an operator sees and uses it."""

    def __init__(self, browser: object, port: int) -> None:
        self.browser = browser
        browser.console()
        browser.open(f"http://127.0.0.1:{port}/")
        self.await_state("Running")

    def await_state(self, text: str) -> None:
        wait_until(text, lambda: text in self.script("return $('state').textContent"), 30)

    def rows(self, table: str = "connections") -> list[list[str]]:
        return self.script(
            "return [...$(arguments[0]).rows].map((r) => [...r.cells].map((c) => c.textContent))",
            table,
        )

    def value(self, title: str) -> str:
        return self.script(
            "return [...document.querySelectorAll('article')].find((a) => "
            "a.querySelector('h3').textContent === arguments[0])"
            ".querySelector('.value').textContent",
            title,
        )


@pytest.mark.parametrize("path", FILES)
def test_it_is_served_there_alone_and_under_a_strict_policy(
    admin: Callable[..., Admin], path: str
) -> None:
    it = admin()
    response = fetch(it.port, path)
    assert response.status == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert b"dashboard" not in fetch(it.server.port, path, Accept="text/html").content


def test_it_shows_channels_and_connections_as_text_and_ends_one(
    admin: Callable[..., Admin], browser: object
) -> None:
    it = admin()
    with it.server.client("/ws") as first, it.server.client("/ws/b&lt") as second:
        page = Dashboard(browser, it.port)
        wait_until("both", lambda: len(page.rows()) >= 2)
        assert ["b&lt", "1"] in [row[:2] for row in page.rows("channels")]
        page.script("$('channel').value = 'b&lt'; $('filter').requestSubmit()")
        wait_until("the filter", lambda: [row[4] for row in page.rows()] == ["b&lt"])
        page.script("window.confirm = () => true; document.querySelector('td button').click()")
        assert second.recv_close()[0] == 1008
        wait_until("it is gone", lambda: page.rows() == [])
        post(it.server, "", "still there")
        assert first.recv_message() == "still there"
    assert page.errors() == []


def test_its_figures_move_with_what_happens(admin: Callable[..., Admin], browser: object) -> None:
    it = admin()
    page = Dashboard(browser, it.port)
    wait_until("figures", lambda: page.value("Messages in, per second") == "0")

    def moves() -> bool:
        post(it.server, "", "x" * 1000)
        return page.value("Messages in, per second") not in ("0", "–")

    wait_until("the rate", moves)
    wait_until("a line", lambda: page.script(
        "return document.querySelector('svg path').getAttribute('d').includes('L')"))
    assert page.script("return document.querySelector('svg').ariaLabel").startswith("Connections:")
    assert page.errors() == []


def test_where_a_token_is_needed_it_asks_for_it(
    admin: Callable[..., Admin], browser: object, tmp_path: object
) -> None:
    (tmp_path / "token").write_text("a secret of 24 characters\n")
    it = admin("--admin-token-file", str(tmp_path / "token"))
    browser.console()
    browser.open(f"http://127.0.0.1:{it.port}/")
    page = Dashboard.__new__(Dashboard)
    page.browser = browser
    wait_until("the question", lambda: not page.script("return $('login').hidden"))
    assert page.rows("channels") == []
    page.script("$('token').value = 'a secret of 24 characters'; $('login').requestSubmit()")
    page.await_state("Running")
    wait_until("the form has gone", lambda: page.script("return $('login').hidden"))
    assert [row[0] for row in page.rows("channels")] == ["(default)"]


def test_it_says_when_the_server_is_gone(admin: Callable[..., Admin], browser: object) -> None:
    it = admin()
    page = Dashboard(browser, it.port)
    it.server.stop()
    page.await_state("The server cannot be reached")


def test_each_control_has_a_name(admin: Callable[..., Admin], browser: object) -> None:
    page = Dashboard(browser, admin().port)
    assert page.script(
        "return [...document.querySelectorAll('input, button')].filter((e) => "
        "!(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.id)"
    ) == []
