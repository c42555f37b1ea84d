"""The access code: what a server that more than this machine can reach asks of everybody, once in a browser.

As Jupyter's token (https://jupyter-server.readthedocs.io/en/latest/operators/security.html): made anew and printed at each start, given
in the address (`?code=…`) or in a field, and then remembered by a cookie until the server ends.
"""

import hmac
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mtl_core.base.language import LANGUAGES, translator
from mtl_core.base.messages import N_
from pages.parts.closed import ALLOW, HEALTH, Served, answer, is_loopback, left_to_proxy, spoken

TRIES, WITHIN = 10, 60.0
"""So many wrong codes from one address in so many seconds; then none is looked at."""
_ADDRESSES = 1000  # whose tries are remembered
_LONGEST = 1000  # bytes of a form with a code

_TITLE, _FIELD, _OPEN = N_("Access code"), N_("The code that the server printed when it was started"), N_("Open the workbench")
_WRONG = N_("This is not the access code of this server. It has a new one after each start.")
_WAIT = N_("There were too many wrong codes. Wait a minute, then try again.")

_PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")


class AccessCode:
    """ASGI middleware. Behind `Closed`, which has refused what comes from other sites."""

    def __init__(self, app: ASGIApp, served: Callable[[], Served] = Served.configured, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.served, self.clock = app, served, clock
        self.code = secrets.token_hex(12)
        self._remembered = secrets.token_urlsafe(32)  # what the cookie holds: the code itself lies in no browser
        self._wrong: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._announce()
        elif scope["type"] in ("http", "websocket") and scope["path"] != HEALTH and self._asks(scope):
            asked = HTTPConnection(scope)
            known = _same(asked.cookies.get(self._cookie()), self._remembered)
            if not known or "code" in asked.query_params:
                reply = self._remember(asked) if known else await self._answer(asked, receive)
                await answer(reply, scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _asks(self, scope: Scope) -> bool:
        """Also where a server that was started in another way than the options say is reached from outside."""
        reached = (scope.get("server") or ("127.0.0.1", None))[0]
        return not left_to_proxy() and not (self.served().local and is_loopback(reached))

    async def _answer(self, asked: HTTPConnection, receive: Receive) -> Response:
        given = asked.query_params.get("code") if asked.scope["type"] == "http" else None
        if asked.scope.get("method") == "POST":
            given = await _posted(Request(asked.scope, receive))
        if given is None:
            return self._page(asked, 401)
        now, tries = self.clock(), self._tries(asked)
        while tries and now - tries[0] >= WITHIN:
            tries.popleft()
        if len(tries) >= TRIES:
            return self._page(asked, 429, _WAIT)
        if not _same(given, self.code):
            tries.append(now)
            return self._page(asked, 401, _WRONG)
        return self._remember(asked)

    def _remember(self, asked: HTTPConnection) -> Response:
        """On to the same page without the code. A form's answer says so at once; an address may have been followed from another site,
        for whose sake a browser would send no cookie with what it is led to, so it is told by a page of ours."""
        rest = [(name, value) for name, value in asked.query_params.multi_items() if name != "code"]
        target = "/" + quote(asked.scope["path"].lstrip("/\\")) + (f"?{urlencode(rest)}" if rest else "")
        reply: Response = RedirectResponse(target, 303)
        if asked.scope.get("method") != "POST":
            reply = HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(target)}">')
        secure = asked.scope["scheme"] in ("https", "wss")
        reply.set_cookie(self._cookie(), self._remembered, httponly=True, samesite="strict", secure=secure)
        return reply

    def _page(self, asked: HTTPConnection, status: int, problem: str = "") -> Response:
        language = spoken(asked)
        _ = translator(language)
        values = {"language": language, "title": _(_TITLE), "field": _(_FIELD), "open": _(_OPEN), "problem": _(problem)}
        return HTMLResponse(_PAGE.format(others=_others(asked, language), **{k: escape(v) for k, v in values.items()}), status)

    def _tries(self, asked: HTTPConnection) -> deque[float]:
        who = asked.client.host if asked.client and "x-forwarded-for" not in asked.headers else ""  # that one is only said
        if who not in self._wrong and len(self._wrong) >= _ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        return self._wrong.setdefault(who, deque())

    def _cookie(self) -> str:
        return f"mtl_access_{self.served().port}"  # a browser keeps the cookies of all servers of a machine together

    def _announce(self) -> None:
        served = self.served()
        if served.local:
            return
        name = f"[{served.address}]" if ":" in served.address else served.address
        where = f"http://{socket.gethostname() if served.address in ('0.0.0.0', '::') else name}:{served.port}/"
        if left_to_proxy():
            said = f"This server answers the network ({where}) without an access code: {ALLOW}=1 leaves it to a proxy to ask who comes."
        else:
            said = f"This server answers the network. Its access code is {self.code}, or open\n\n  {where}?code={self.code}"
        sys.stderr.write(f"\n  {said}\n\n")
        sys.stderr.flush()


def _others(asked: HTTPConnection, language: str) -> str:
    """Links to this page in the other languages."""
    rest = [(name, value) for name, value in asked.query_params.multi_items() if name not in ("code", "lang")]
    others = {code: escape("?" + urlencode([*rest, ("lang", code)])) for code in LANGUAGES if code != language}
    return " ".join(f'<a href="{where}" lang="{code}">{LANGUAGES[code]}</a>' for code, where in others.items())


def _same(given: str | None, wanted: str) -> bool:
    return given is not None and hmac.compare_digest(given.strip().encode(), wanted.encode())


async def _posted(request: Request) -> str | None:
    """The field of the form; nothing larger is read."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            return None
    return parse_qs(body.decode("utf-8", errors="replace")).get("code", [None])[0]
