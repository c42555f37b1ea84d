"""Who may talk to the server: requests as a server hands them on, answered before there is any Streamlit."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from pages.parts.access import TRIES, WITHIN, AccessCode
from pages.parts.closed import Closed, Served
from pages.parts.headers import HEADERS, policy

LOCAL = Served("127.0.0.1", 8501)
OPEN = Served("0.0.0.0", 8501)


@dataclass
class Answer:
    """What came of a request. status: 200 from behind the middleware, which says what came through; 403 of a websocket: not opened."""

    status: int
    headers: dict[str, str]
    body: str
    passed: dict[str, Any] | None = None


@dataclass
class Site:
    """Both middlewares, in front of something that answers “in”."""

    served: Served = LOCAL
    now: float = 0.0
    passed: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.access = AccessCode(self.behind, lambda: self.served, lambda: self.now)
        self.app = Closed(self.access, lambda: self.served)

    async def behind(self, scope: Any, receive: Any, send: Any) -> None:
        self.passed.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
            await send({"type": "http.response.body", "body": b"in"})

    def ask(self, path: str = "/", query: str = "", kind: str = "http", method: str = "GET", body: str = "", client: str = "10.0.0.9",
            reached: str = "127.0.0.1", **headers: str) -> Answer:  # fmt: skip
        given = {"host": "127.0.0.1:8501", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {"type": kind, "path": path, "query_string": query.encode(), "scheme": "http" if kind == "http" else "ws"}
        scope |= {
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
            "client": (client, 1),
            "server": (reached, 8501),
        }
        scope |= {"method": method} if kind == "http" else {}
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body.encode(), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        first = sent[0]
        if first["type"].startswith("websocket"):
            return Answer(200 if first["type"] == "websocket.accept" else 403, {}, "")
        named = {name.decode(): value.decode() for name, value in first["headers"]}
        return Answer(first["status"], named, b"".join(part.get("body", b"") for part in sent[1:]).decode())


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("served", "host", "enters"),
    [
        *[(LOCAL, host, True) for host in ("127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "127.9.9.9", "localhost.")],
        *[(LOCAL, host, False) for host in ("evil.example", "127.0.0.1.evil.example:8501", "localhost.evil.example", "10.0.0.5", "")],
        *[(LOCAL, host, False) for host in ("a@127.0.0.1", "127.0.0.1/x", "127.0.0.1:port", "127.0.0.1:999999", "[::1", "::1", "0x7f.1")],
        *[(OPEN, host, True) for host in ("192.168.1.7:8501", "[fe80::1]:8501", "localhost", "THEBOX:8501", "thebox.local")],
        *[(OPEN, host, False) for host in ("evil.example", "thebox.evil.example", "")],
        *[(Served("shop.lan", 80), host, host == "shop.lan") for host in ("shop.lan", "evil.example")],
        *[(Served(hosts=("shop.lan", "*.shop.lan")), host, "shop.lan" in host) for host in ("shop.lan", "a.shop.lan:99", "127.0.0.1")],
        (Served(hosts=("*",)), "evil.example", True),
        (Served(hosts=("*",)), "not a host", False),
    ],
)
def test_a_foreign_host_is_refused(kind: str, served: Served, host: str, enters: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a stranger's server gives to this machine's address, so that its page and this server seem to be one site."""
    monkeypatch.setattr("socket.gethostname", lambda: "thebox")
    monkeypatch.setenv("MTL_ALLOW_NETWORK", "1")
    site = Site(served)
    assert (site.ask(kind=kind, host=host).status, bool(site.passed)) == ((200, True) if enters else (403, False))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("origin", "enters"),
    [
        ("http://127.0.0.1:8501", True),
        ("https://127.0.0.1:8501", True),
        ("https://shop.example", True),
        ("http://localhost:8501", False),
        ("http://127.0.0.1:8502", False),
        ("http://127.0.0.1:8501.evil.example", False),
        ("http://evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_a_foreign_origin_is_refused(kind: str, origin: str, enters: bool) -> None:
    site = Site(Served(origins=("https://shop.example",)))
    assert site.ask(kind=kind, origin=origin, method="POST").status == (200 if enters else 403)
    assert bool(site.passed) == enters
    if enters and kind == "websocket":
        assert not [name for name, _ in site.passed[0]["headers"] if name == b"origin"], "Streamlit would ask the internet whose it is"


def test_two_hosts_are_none() -> None:
    site = Site()
    app, scope = site.app, {"type": "http", "path": "/", "query_string": b"", "method": "GET", "scheme": "http", "server": ("127.0.0.1", 1)}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({**scope, "headers": [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]}, send, send))
    assert sent[0]["status"] == 403


def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    site = Site(OPEN)
    answers = [Site().ask(), site.ask(), site.ask(host="evil.example"), site.ask("/_stcore/health"), site.ask("/_stcore/metrics")]
    assert [answer.status for answer in answers] == [200, 401, 403, 200, 404]
    for answer in answers:
        assert {name.lower(): value for name, value in HEADERS.items()}.items() <= answer.headers.items()


def test_the_policy_allows_no_other_machine_and_no_script_in_a_page() -> None:
    rules = dict(rule.split(" ", 1) for rule in policy().split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[^ ]+'", rules["script-src"])
    sources = {source for name, rule in rules.items() for source in rule.split() if not source.startswith("'sha256-")}
    assert sources == {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}
    assert [name for name, rule in rules.items() if "unsafe" in rule] == ["style-src"]


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/base/_stcore/metrics", "/_stcore/agent/interact"])
def test_what_a_browser_does_not_need_is_shut(path: str) -> None:
    site = Site()
    assert {site.ask(path, method=method).status for method in ("GET", "HEAD", "POST")} == {404} and not site.passed


def test_a_refusal_is_said_in_the_language_of_the_browser_and_as_text() -> None:
    english, chinese = (Site().ask(host="evil.example", accept_language=language) for language in ("en-US,en;q=0.9", "zh-CN,zh;q=0.9"))
    assert "http://127.0.0.1:8501" in english.body and english.body != chinese.body and "evil.example" in chinese.body
    assert english.headers["content-type"].startswith("text/plain")


def test_only_this_machine_needs_no_code() -> None:
    assert Site().ask().status == 200
    assert Site().ask(reached="192.168.1.7", host="127.0.0.1").status == 401, "started in another way than the options say"
    site = Site(OPEN)
    assert site.ask().status == 401 and site.ask(kind="websocket").status == 403 and site.ask("/static/js/index.js").status == 401
    assert site.ask("/_stcore/health").status == 200 and len(site.passed) == 1


def test_a_proxy_may_be_left_to_ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for value, status in (("1", 200), ("0", 401), ("", 401)):
        monkeypatch.setenv("MTL_ALLOW_NETWORK", value)
        site = Site(OPEN)
        assert site.ask().status == status
        asyncio.run(site.access({"type": "lifespan"}, None, _nowhere))
        assert (site.access.code in capsys.readouterr().err) == (status == 401)


async def _nowhere(message: Any) -> None:
    pass


@pytest.mark.parametrize("way", ["address", "form"])
def test_the_code_opens_and_is_then_remembered(way: str) -> None:
    site = Site(OPEN)
    if way == "form":
        answer = site.ask("/train", "run=a%26b", method="POST", body=f"code=+{site.access.code}", origin="http://127.0.0.1:8501")
        assert answer.status == 303 and answer.headers["location"] == "/train?run=a%26b"
    else:
        answer = site.ask("/train", f"run=a%26b&code={site.access.code}")
        assert answer.status == 200 and 'content="0;url=/train?run=a%26b"' in answer.body
    assert not site.passed
    cookie, *rest = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} == set(rest) and site.access.code not in cookie
    assert site.ask(cookie=cookie).body == "in" and site.ask(kind="websocket", cookie=cookie).status == 200
    again = site.ask("/train", f"code={site.access.code}", cookie=cookie)
    assert 'url=/train"' in again.body and len(site.passed) == 2, "it does not stay in the address"
    assert Site(OPEN).ask(cookie=cookie).status == 401, "nor beyond the server's end"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "///evil.example", "/\r\nX: 1", '/"><script>'])
def test_the_way_on_stays_on_this_server(path: str) -> None:
    site = Site(OPEN)
    for answer in (site.ask(path, f"code={site.access.code}"), site.ask(path, method="POST", body=f"code={site.access.code}")):
        target = answer.headers.get("location") or re.search(r'content="0;url=([^"]*)">$', answer.body)[1]
        assert re.fullmatch(r"/[\w.%/]*", target) and not target.startswith("//")


@pytest.mark.parametrize("given", ["x", "", " ", "0" * 24, "💥", "%00", "x" * 900])
def test_a_wrong_code_opens_nothing(given: str) -> None:
    site = Site(OPEN)
    answers = [
        site.ask("/", f"code={quote(given)}"),
        site.ask(method="POST", body=f"code={quote(given)}"),
        site.ask(cookie=f"mtl_access_8501={quote(given)}"),
    ]
    assert [answer.status for answer in answers] == [401] * 3 and not any("set-cookie" in answer.headers for answer in answers)
    assert not site.passed


def test_a_form_that_is_too_long_is_not_read() -> None:
    site = Site(OPEN)
    assert site.ask(method="POST", body=f"code={site.access.code}&more=" + "x" * 2000).status == 401


def test_guessing_is_slowed() -> None:
    site = Site(OPEN)
    assert [site.ask("/", f"code={n}").status for n in range(TRIES)] == [401] * TRIES
    right = f"code={site.access.code}"
    assert site.ask("/", right).status == 429 and site.ask(method="POST", body=right).status == 429
    assert site.ask("/", right, client="10.0.0.10").status == 200, "others are let in"
    site.now = WITHIN
    assert site.ask("/", right).status == 200
    for n in range(1100):
        site.ask("/", "code=x", client=f"10.1.{n >> 8}.{n & 255}")
    assert len(site.access._wrong) <= 1000


def test_the_page_asks_in_both_languages() -> None:
    site = Site(OPEN)
    english, chinese = site.ask("/train", "run=1&code=<b>", accept_language="en"), site.ask("/train", "run=1&lang=zh", accept_language="en")
    assert '<html lang="en">' in english.body and "not the access code" in english.body and "<b>" not in english.body.split("<form")[0]
    assert '<html lang="zh">' in chinese.body and "简体中文" not in chinese.body and 'href="?run=1&amp;lang=en"' in chinese.body
    for answer in (english, chinese):
        assert re.search(r'<label for="code"><b>\S', answer.body) and '<form method="post">' in answer.body
