"""Programs are answered under every name, browsers by private ones and for this server's pages."""

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from starlette.datastructures import Headers

from tl_keras.serving.foreign_pages import why_refused

# What browsers send, whatever page asks.
BROWSER = {"User-Agent": "Mozilla/5.0 (X11)", "Accept-Language": "de"}
PRIVATE = [
    *("localhost:8501", "LOCALHOST", "127.0.0.1:8501", "127.0.0.1", "192.168.1.5:80", "[::1]:8501"),
    *("[fe80::1]", "::1", "plant-pc:8501", "a.localhost:1", "plant.local", "x.y.internal:8501"),
    *("nas.home.arpa", "localhost.:8501", "host.docker.internal", ""),
]
PUBLIC = [
    *("evil.example:8501", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("evil.example.:8501", "evil.localhost.com", "local.com", "127.0.0.1:80@evil.example"),
    *("evil.example:8501:1", "notlocal.example:", "\xff.\xfe", "1.2.3", "256.1.1.1"),
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_browser_is_answered_under_names_that_nobody_has_on_the_web(host: str) -> None:
    for more in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://{host}"}):
        assert why_refused("POST", Headers({**BROWSER, **more, "Host": host})) is None


@pytest.mark.parametrize("host", PUBLIC)
def test_a_browser_that_took_this_server_for_another_is_refused(host: str) -> None:
    told = {**BROWSER, "Host": host}
    for more in ({}, {"Origin": f"http://{host}"}, {"Sec-Fetch-Site": "same-origin"}):
        for method in ("GET", "POST"):
            why = why_refused(method, Headers({**told, **more}))
            assert why is not None
            assert repr(host) in why


@pytest.mark.parametrize("mark", ["Origin", "Referer", "Cookie", "Accept-Language", "User-Agent"])
def test_one_mark_of_a_browser_is_enough(mark: str) -> None:
    told = {"Host": "evil.example", mark: "Mozilla/5.0" if mark == "User-Agent" else ""}
    assert why_refused("GET", Headers(told)) is not None


@pytest.mark.parametrize("host", [*PRIVATE, *PUBLIC])
@pytest.mark.parametrize("agent", ["curl/8.5.0", "python-requests/2.32", "Go-http-client/1.1", ""])
def test_a_program_is_answered_under_every_name(host: str, agent: str) -> None:
    told = {"Host": host, "User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "gzip"}
    for method in ("GET", "POST"):
        assert why_refused(method, Headers(told)) is None


def test_a_request_without_a_host_is_answered() -> None:
    assert why_refused("POST", Headers({})) is None


@pytest.mark.parametrize(
    "more",
    [
        *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "")),
        # a form, sent by a click
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        # a page of another server of this machine
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:8501.evil.example"},
    ],
)
def test_a_page_of_another_origin_is_refused(more: dict[str, str]) -> None:
    why = why_refused("POST", Headers({**BROWSER, "Host": "localhost:8501", **more}))
    assert why is not None
    assert "the server that it is from" in why


def test_a_link_to_the_page_may_be_anywhere() -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert why_refused("GET", Headers({**BROWSER, "Host": "localhost:8501", **link})) is None
    assert why_refused("GET", Headers({**BROWSER, "Host": "evil.example", **link})) is not None


def test_behind_a_proxy_the_browser_itself_says_what_is_of_this_server() -> None:
    told = {"Host": "127.0.0.1:8501", "Origin": "https://plant.example", **BROWSER}
    assert why_refused("POST", Headers({**told, "Sec-Fetch-Site": "same-origin"})) is None


def test_a_name_of_this_machine_is_its_own() -> None:
    told = Headers({**BROWSER, "Host": "Plant.Example:8501"})
    assert why_refused("GET", told, {"plant.example"}) is None
    assert why_refused("GET", told, {"other.example"}) is not None
