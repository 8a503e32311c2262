"""The Router's port, before anything starts."""

from __future__ import annotations

import socket

import psutil
import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.router.ports import choose_port, holder_of


def test_0_gives_a_port_that_is_free() -> None:
    port = choose_port("127.0.0.1", 0)
    assert 1024 <= port < 65536
    assert choose_port("127.0.0.1", port) == port


def test_a_busy_port_is_an_error_that_names_the_holder() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        name = psutil.Process().name()
        with pytest.raises(
            RouterUnavailable, match=rf"{port} is taken by {name} \(pid \d+\); stop"
        ):
            choose_port("127.0.0.1", port)


def test_a_holder_that_cannot_be_seen_is_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert holder_of(8080) == "another process"


def test_nobody_there_any_more_is_another_process() -> None:
    assert holder_of(choose_port("127.0.0.1", 0)) == "another process"


def test_ipv6_works() -> None:
    assert choose_port("::1", 0) > 0


@pytest.mark.parametrize("host", ["no such host.invalid", "x" * 300, "1.2.3.4.5"])
def test_a_host_that_does_not_resolve_is_an_error(host: str) -> None:
    with pytest.raises(RouterUnavailable, match=r"\[router\] host: .* cannot be resolved"):
        choose_port(host, 0)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(RouterUnavailable, match=r"cannot listen on '192.0.2.1' port 0"):
        choose_port("192.0.2.1", 0)


def test_a_port_that_needs_rights_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(RouterUnavailable, match="80 needs more rights"):
        choose_port("127.0.0.1", 80)
