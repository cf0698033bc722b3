"""What pages of the web ask of a local server through somebody's browser: it is refused.

A page of any origin can make a browser ask this machine. What is answered it cannot read, unless
its own name is made to lead here for a moment (DNS rebinding), for which browsers take the server
as its own. So two things are asked of a request that a browser sent: that it is from a page of this
server (`Sec-Fetch-Site`, or `Origin` against `Host`, both of which no page can forge), and that
`Host` is a name that nobody can have on the web. Programs send none of these, and are answered
under every name.
"""

import ipaddress
from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tl_keras.serving.json_response import refusal

# Names below these lead to nobody on the web: RFC 6761, 6762 and 8375, ICANN 2024-07-29.
_PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa")
# Browsers send some of these with every request, programs none.
_OF_BROWSERS = ("origin", "referer", "cookie", "accept-language", "sec-fetch-site")
# Of every answer: it is what it says it is, and no page of another origin may show it.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class OwnPages:
    """An application that answers programs, and of web pages its own."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            names: of this machine, beyond those that nobody can have on the web.
        """
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.lower().encode(), text.encode()) for name, text in _SAFE.items()]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        why = why_refused(scope["method"], Headers(scope=scope), self._names)
        app: Any = self._app if why is None else refusal(403, why)
        await app(scope, receive, send_safe)


def why_refused(method: str, headers: Headers, names: Collection[str] = ()) -> str | None:
    """What to tell whoever sent a request that a page of another origin made; else None.

    Args:
        method: of HTTP.
        headers: of the request.
        names: of this machine, in lower case.
    """
    host = headers.get("host", "")
    if _is_of_browser(headers) and not _is_private(host, names):
        return (
            "The server must be asked by an address or a name of this machine, such as "
            f"127.0.0.1 or localhost, got the name {host[:200]!r}, which a web page could have. "
            "Open the address that tl-keras serve printed, or start it with --host and this name."
        )
    if _is_of_another_page(method, headers, host):
        return (
            "A web page may ask only the server that it is from; this request is from "
            f"{headers.get('origin', 'another site')[:200]!r}. Open the page of this server, or "
            "ask with a program such as curl."
        )
    return None


def _is_of_browser(headers: Headers) -> bool:
    # one of the two cannot be changed by a page: Accept-Language can be set, and not left out
    agent = headers.get("user-agent", "")
    return agent.startswith("Mozilla/") or any(name in headers for name in _OF_BROWSERS)


def _is_private(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` is an address, or a name that leads to nobody's server on the web."""
    name = _without_port(host.lower()).removesuffix(".")
    return (
        "." not in name
        or name in names
        or name.endswith(_PRIVATE_ENDINGS)
        or _is_address(name.strip("[]"))
    )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_of_another_page(method: str, headers: Headers, host: str) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        # a link to the page may be anywhere
        followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site not in ("same-origin", "none") and not followed
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != host.lower()
