"""Reaching a Schema Registry: credentials, refusals, answers that are none, packages missing."""

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from streams.errors import ConfigurationError, RegistryUnavailableError
from streams.settings import Settings, load_settings
from streams.topics import check_schemas, reading_codecs, register_schemas, writing_codecs


class Answer(BaseHTTPRequestHandler):
    """Gives every request the same answer and notes its credentials."""

    status: ClassVar = 401
    body: ClassVar = b'{"error_code": 401, "message": "no"}'
    credentials: ClassVar[set[str | None]] = set()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.credentials.add(self.headers["Authorization"])
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ours(server: ThreadingHTTPServer) -> Settings:
    return load_settings(
        {},
        schema_registry_url=f"http://127.0.0.1:{server.server_port}",
        schema_registry_username="reader",
        schema_registry_password="hunter2",  # noqa: S106
    )


def test_credentials_are_sent_and_never_told(ours: Settings) -> None:
    with pytest.raises(RegistryUnavailableError, match=r"does not look up .*401") as raised:
        writing_codecs(ours)
    assert Answer.credentials == {"Basic cmVhZGVyOmh1bnRlcjI="}
    assert "hunter2" not in str(raised.value)


def test_an_answer_that_is_not_the_api_s_is_an_error_of_one_line(
    ours: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "status", 200)
    monkeypatch.setattr(Answer, "body", b"<html>log in</html>")
    with pytest.raises(RegistryUnavailableError, match="does not look up") as raised:
        check_schemas(ours)
    assert "\n" not in str(raised.value)


def test_without_the_packages_the_message_says_what_to_install(
    ours: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'trailstreams\[registry\]'"):
        reading_codecs(ours)


def test_without_a_registry_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    plain = load_settings({})
    assert register_schemas(plain) == {}
    check_schemas(plain)
    assert writing_codecs(plain).unknown([b"\x00\x00\x00\x00\x01"]) == set()


@pytest.mark.parametrize("url", ["registry:8081", "http://", "http://user:secret@registry"])
def test_an_address_is_of_http_and_holds_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SCHEMA_REGISTRY_URL") as raised:
        load_settings({}, schema_registry_url=url)
    assert "secret" not in str(raised.value)
