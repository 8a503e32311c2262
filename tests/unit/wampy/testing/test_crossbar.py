from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from wampy.registry import NoRouter, Registry
from wampy.testing.routers import Crossbar, RouterFailed
from wampy.testing.routers.crossbar import PACKAGED_CONFIG


def written(path: Path, transport: dict[str, Any]) -> Path:
    worker = {"type": "router", "realms": [{"name": "mine"}], "transports": [transport]}
    path.write_text(json.dumps({"version": 2, "workers": [{"type": "guest"}, worker]}))
    return path


TCP = {"type": "tcp", "port": 9}


@pytest.mark.parametrize(
    ("transport", "url"),
    [
        ({"type": "universal", "endpoint": TCP, "websocket": {"ws": {}}}, "ws://h:9/ws"),
        ({"type": "websocket", "endpoint": TCP}, "ws://h:9/"),
        ({"type": "websocket", "endpoint": {**TCP, "tls": {}}}, "wss://h:9/"),
        ({"type": "rawsocket", "endpoint": TCP}, "tcp://h:9"),
        (
            {
                "type": "web",
                "endpoint": TCP,
                "paths": {"x": {"type": "static"}, "ws": {"type": "websocket"}},
            },
            "ws://h:9/ws",
        ),
    ],
)
def test_where_its_configuration_says_it_listens(
    transport: dict[str, Any], url: str, tmp_path: Path
) -> None:
    crossbar = Crossbar(host="h", config_path=written(tmp_path / "config.json", transport))
    assert (crossbar.url, crossbar.port, crossbar.realm) == (url, 9, "mine")
    assert url in repr(crossbar)
    assert crossbar.pid is None
    crossbar.stop()


def test_the_packaged_configuration_serves_where_there_is_none(tmp_path: Path) -> None:
    for crossbar in (Crossbar(), Crossbar(config_path=tmp_path / "none.json")):
        assert crossbar.config_path == PACKAGED_CONFIG
        assert crossbar.url == "ws://localhost:8080/ws"


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}'])
def test_a_configuration_that_cannot_be_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(RouterFailed, match=r"config\.json"):
        Crossbar(config_path=path)


def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = {"type": "rawsocket", "endpoint": {**TCP, "port": listener.getsockname()[1]}}
        crossbar = Crossbar("127.0.0.1", written(tmp_path / "c.json", transport), tmp_path)
        with pytest.raises(RouterFailed, match="listens on"):
            crossbar.start()


@pytest.mark.parametrize(
    ("command", "reason"),
    [("/no/such/crossbar", "cannot start"), ("/bin/false", "ended with code 1")],
)
def test_an_executable_that_is_none(command: str, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path / "c.json", {"type": "rawsocket", "endpoint": TCP})
    crossbar = Crossbar("127.0.0.1", path, tmp_path, command=command)
    with pytest.raises(RouterFailed, match=reason):
        crossbar.start()
    assert crossbar.pid is None


def test_what_register_peer_takes() -> None:
    from wampy import Peer

    class App(Peer):
        pass

    registry = Registry()
    with pytest.raises(NoRouter, match="first register_peer"):
        registry.add(App())
    with pytest.raises(TypeError, match=r"register_peer\(App\(\)\)"):
        registry.add(App)
    with pytest.raises(TypeError, match="a Router or a"):
        registry.add("crossbar")
    registry.clear()


def test_a_router_is_started_once_and_stopped_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    class Router:
        url = "ws://h/"
        story: list[str] = []  # noqa: RUF012 - one is made

        def start(self) -> None:
            self.story.append("start")

        def stop(self) -> None:
            self.story.append("stop")

    registry, router = Registry(), Router()
    registry.add(router)
    registry.add(router)
    assert "already registered" in caplog.text
    registry.clear()
    registry.clear()
    assert router.story == ["start", "stop"]
