"""On the PYTHONPATH of a process, writes to the file `MTL_TEST_CALLS` what it, and every Python process that it starts, asks of another
machine: names that are looked up, addresses that are connected or sent to."""

import os
import sys

HERE = ("127.", "::1", "localhost", "/")


def _address(event: str, arguments: tuple) -> object:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return arguments[1]
    return arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr") else None


def _note(event: str, arguments: tuple) -> None:
    address = _address(event, arguments) if event.startswith("socket.") else None
    host = address[0] if isinstance(address, tuple) else address
    if host is None or str(host.decode() if isinstance(host, bytes) else host).startswith(HERE):
        return
    with open(os.environ["MTL_TEST_CALLS"], "a", encoding="utf-8") as file:
        file.write(f"{event} {address}\n")


sys.addaudithook(_note)
