"""Who may talk to the server, and what a browser may do with its pages: decided before Streamlit looks at a request (`app.py`).

A page of another site that is open in the same browser can send requests here: it is told by its `Origin`, and where it gave this
machine's address a name of its own (DNS rebinding), by the `Host`. Every answer forbids framing, guessing of types, and any connection
or script but the server's own. docs/security.md says what is promised.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtl_core.base.language import choose, translator
from mtl_core.base.messages import N_
from pages.parts.headers import HEADERS

ALLOW = "MTL_ALLOW_NETWORK"
HEALTH = "/_stcore/health"
"""Answers “ok” and nothing else, to anybody: for what watches over servers."""
_SHUT = ("/_stcore/metrics", "/_stcore/agent/")
_WRITTEN = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(:\d{1,5})?")
_HOST = N_(
    "This server does not answer to the name {host}. Open http://{address}:{port} instead, or start it with --server.allowedHosts {host}."
)
_ORIGIN = N_("This server does not answer the pages of other sites. This request came from {origin}.")


@dataclass(frozen=True)
class Served:
    """Where the server listens and to which names it answers; by default what Streamlit's options say.

    hosts: `server.allowedHosts`; none: its own addresses and names. origins: other sites that may ask (`server.corsAllowedOrigins`).
    """

    address: str = "127.0.0.1"
    port: int = 8501
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    @classmethod
    def configured(cls) -> "Served":
        options = ("server.address", "server.port", "server.allowedHosts", "server.corsAllowedOrigins")
        address, port, hosts, origins = map(st.get_option, options)
        return cls(address or "0.0.0.0", int(port), tuple(hosts), tuple(origins))

    @property
    def local(self) -> bool:
        """Nobody but this machine can reach it."""
        return is_loopback(self.address)

    def answers_to(self, host: str) -> bool:
        """host: a request's `Host`. A name that is not the server's own may be one that a stranger gave to its address."""
        name = _name(host)
        if self.hosts:
            patterns = [pattern.strip().lower() for pattern in self.hosts]
            return bool(name) and any(p in ("*", name) or (p.startswith("*.") and name.endswith(p[1:])) for p in patterns)
        if is_loopback(name) or name == self.address.lower():
            return True
        own = socket.gethostname().lower()
        return not self.local and (_is_address(name) or name in (own, own.split(".")[0], f"{own.split('.')[0]}.local"))


def left_to_proxy() -> bool:
    """A person said that something in front of the server asks who comes (`MTL_ALLOW_NETWORK=1`)."""
    return os.environ.get(ALLOW) == "1"


def is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


class Closed:
    """ASGI middleware: refuses (403) a foreign `Host` or `Origin`, shuts (404) what a browser does not need, and adds `HEADERS`."""

    def __init__(self, app: ASGIApp, served: Callable[[], Served] = Served.configured) -> None:
        self.app, self.served = app, served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def headed(sent: Message) -> None:
            if sent["type"] == "http.response.start":
                MutableHeaders(scope=sent).update(HEADERS)
            await send(sent)

        asked = HTTPConnection(scope)
        if any(path in scope["path"] for path in _SHUT):
            await answer(PlainTextResponse("Not found", 404), scope, receive, headed)
        elif why := self._refusal(asked):
            await answer(PlainTextResponse(why, 403), scope, receive, headed)
        else:
            if scope["type"] == "websocket":  # of one that it does not know at once, Streamlit asks the internet whether it is its own
                scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"origin"]}
            await self.app(scope, receive, headed)

    def _refusal(self, asked: HTTPConnection) -> str | None:
        served, hosts, origins = self.served(), asked.headers.getlist("host"), asked.headers.getlist("origin")
        host = hosts[0] if len(hosts) == 1 else ""
        if not served.answers_to(host):
            address = "127.0.0.1" if served.address in ("0.0.0.0", "::") else served.address
            return translator(spoken(asked))(_HOST).format(host=_name(host) or "?", address=address, port=served.port)
        for origin in origins:
            if origin.lower().partition("://")[2] != host.lower() and origin not in served.origins:
                return translator(spoken(asked))(_ORIGIN).format(origin=origin)
        return None


async def answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """In place of the page; a websocket that is not opened is answered 403 by the server."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await response(scope, receive, send)


def spoken(asked: HTTPConnection) -> str:
    """The code of the language of whoever asks, before Streamlit knows it."""
    return choose(asked.query_params.get("lang"), asked.headers.get("accept-language", "").split(",")[0])


def _name(host: str) -> str:
    """The name of a `Host`, in small letters, without its port; empty: it is not one."""
    found = _WRITTEN.fullmatch(host.lower())
    return (found["address"] or found["name"].rstrip(".")) if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
