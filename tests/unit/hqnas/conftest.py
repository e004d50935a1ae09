"""What the tests of client and command line share: the stand-in API, in memory or behind a port, and its clock."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner, Result

from hqnas.cli.application import app
from hqnas.client import Client

from .fake_api import Documents, FakeApi, FakeClock


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(api: FakeApi, clock: FakeClock) -> Client:
    return Client(
        "http://api.test",
        patience_s=30.0,
        transport=httpx.MockTransport(api),
        sleep=clock.sleep,
        clock=clock,
    )


@pytest.fixture
def service(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stand-in behind a port of this machine, named by HQNAS_URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            response = api(
                httpx.Request(self.command, "http://api.test" + self.path, headers=dict(self.headers), content=body)
            )
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.content)

        do_POST = do_GET  # noqa: N815  # as above

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HQNAS_URL", url)
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture
def documents() -> type[Documents]:
    return Documents


@pytest.fixture
def run(service: str) -> Callable[..., Result]:
    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={"COLUMNS": "140"})

    return invoke
