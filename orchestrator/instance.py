"""What runs in an Instance: one Peer, one Session, and a main thread that answers the supervisor.

The main thread does nothing but that, so the supervisor can tell a hung process (no answer here)
from a hung Session (no answer to the heartbeat RPC). Messages on the channel, from the supervisor:
``ping`` (answered by ``pong``), ``level``, ``drain``, ``hand_over``, ``take_back``; to it:
``started``, ``session`` (``lost`` or ``joined``), ``failed`` with a reason. Its end means that the
supervisor is gone: the Instance ends then, with its whole process group.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import random
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from orchestrator import channel
from orchestrator.core.events import EXIT_CANNOT_START
from orchestrator.limits import set_limits
from orchestrator.processes import become_subreaper, die_with_parent, pss_bytes

#: Exit code after SIGTERM, as a shell would report it.
EXIT_TERMINATED = 128 + signal.SIGTERM
#: Seconds that SIGTERM leaves for what is in flight; the supervisor's KILL comes after 5 s.
TERM_GRACE_S = 4.0

log = logging.getLogger("wampy.instance")


def main(order: dict[str, Any], stdout: int, stderr: int, link: int, supervisor_pid: int) -> None:
    """Run one incarnation to its end; exits the process."""
    _look_like_new(order, stdout, stderr, supervisor_pid)
    Incarnation(order, socket.socket(fileno=link)).run()


def prepare() -> None:
    """Make a process look like a new one after its imports: signals, stdio, logging.

    In a nursery before the forks, so that it is done once and its memory is shared: the Instances
    get it as it is, with descriptors 1 and 2 replaced by their own.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    for signum in signal.valid_signals():
        if signum not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ):
            with contextlib.suppress(OSError):
                signal.signal(signum, signal.SIG_DFL)
    # Until an Instance begins: a Ctrl-C of the terminal is none of the nursery's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )


def _look_like_new(order: dict[str, Any], stdout: int, stderr: int, supervisor_pid: int) -> None:
    """Make the hundredth start look exactly like the first; the rest is done by ``prepare``."""
    with contextlib.suppress(PermissionError):  # an exec'ed one leads its session already
        os.setsid()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _wait_for_parent(supervisor_pid)
    die_with_parent(supervisor_pid)
    # What the Peer's own children leave behind falls to the Instance, and at its end to the
    # supervisor, which thereby knows that nobody owns it any more.
    become_subreaper()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    os.environ["WAMPY_INSTANCE"] = order["instance"]
    if order["umask"] is not None:
        os.umask(order["umask"])
    set_limits(order["limits"])
    dump = os.open(order["tracebacks"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True, chain=False)
    logging.getLogger().setLevel(order["level"])


def _wait_for_parent(supervisor_pid: int) -> None:
    """Wait until the process between has ended and the supervisor is the parent.

    PDEATHSIG set before that would be sent by the end of the process between.
    """
    deadline = time.monotonic() + 5.0
    while os.getppid() != supervisor_pid:
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(0.0002)


class Incarnation:
    """One start of an Instance, in its own process. ``run`` never returns."""

    def __init__(self, order: dict[str, Any], link: socket.socket) -> None:
        self._order = order
        self._link = link
        self._send_lock = threading.Lock()  # guards sends on the link; nothing is called under it
        self._started_at = time.monotonic()
        self._pss: tuple[float, int | None] = (0.0, None)
        self._host: Any = None
        self._is_starting = True
        self._exit_code: int | None = None
        self._wake_reads, self._wake_writes = socket.socketpair()
        self._wake_writes.setblocking(False)
        self._terminated = False
        self._drain_lock = threading.Lock()  # guards _drain_begun
        self._drain_begun = False

    # ------------------------------------------------------------------ the main thread

    def run(self) -> NoReturn:
        """Start the Peer, then answer the supervisor until it is time to exit."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.set_wakeup_fd(self._wake_writes.fileno(), warn_on_full_buffer=False)
        try:
            self._start()
        except SystemExit as error:
            self._exit(_code_of(error))
        except BaseException as error:  # whatever user code raises is this incarnation's end
            self._fail(error)
        self._is_starting = False
        # What start-up allocated lives as long as the process; do not walk it in every collection.
        gc.freeze()
        self._tell({"started": True})
        if self._order["kind"] == "job":
            self._in_thread("run", self._run_job)
        self._serve()

    def _serve(self) -> NoReturn:
        selector = selectors.DefaultSelector()
        selector.register(self._link, selectors.EVENT_READ)
        selector.register(self._wake_reads, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self._wake_reads:
                    self._wake_reads.recv(4096)
                else:
                    self._on_message()
            if self._exit_code is not None:
                self._exit(self._exit_code)
            if self._terminated:
                self._terminated = False
                if self._drain_begun:
                    # The grace is over, or somebody else wants it to be.
                    self._exit(EXIT_TERMINATED)
                self._in_thread("terminate", self._drain, TERM_GRACE_S, EXIT_TERMINATED)

    def _on_message(self) -> None:
        received = channel.receive(self._link)
        if received is None:
            # Nobody supervises this process any more.
            os.killpg(os.getpid(), signal.SIGKILL)
            return
        message = received[0]
        if "ping" in message:
            self._tell({"pong": message["ping"]})
        elif "drain" in message:
            self._in_thread("drain", self._drain, float(message["drain"]), 0)
        elif "level" in message:
            logging.getLogger().setLevel(message["level"])
        elif "hand_over" in message:
            self._in_thread("hand over", self._host.hand_over)
        elif "take_back" in message:
            self._in_thread("take back", self._host.take_back)

    def _on_term(self, signum: int, frame: Any) -> None:
        if self._is_starting:
            raise SystemExit(EXIT_TERMINATED)
        self._terminated = True

    def _in_thread(self, name: str, target: Callable[..., Any], *args: Any) -> None:
        def guarded() -> None:
            try:
                target(*args)
            except BaseException:  # told to the supervisor, never lost with the thread
                log.exception("%s failed", name)
                self._leave(1)

        threading.Thread(target=guarded, name=f"wampy {name}", daemon=True).start()

    # ------------------------------------------------------------------ the Peer

    def _start(self) -> None:
        # Imported here and not above: the nursery has them warm, the supervisor never needs them.
        from orchestrator.checking import load_app
        from wampy.auth import by_method
        from wampy.host import PeerHost
        from wampy.session import Session

        order = self._order
        cls = load_app(order["app"])
        peer = cls.create(config=order["config"], name=order["name"], index=order["index"])
        session = Session(
            order["url"],
            order["realm"],
            auth=by_method(**order["join"]),
            on_join=lambda: self._tell({"session": "joined"}),
            on_leave=lambda: self._tell({"session": "lost", "leaving": self._drain_begun}),
        )
        prefix = f"wampy.{order['stack']}.peer.{order['name']}.{order['index']}"
        self._host = PeerHost(
            peer,
            session,
            concurrency=order["concurrency"],
            queue=order["queue"],
            debug=order["debug"],
            control_procedures={
                f"{prefix}.heartbeat": self._heartbeat,
                f"{prefix}.describe": lambda: self._host.describe(),
            },
        )
        self._host.start(order["start_timeout_s"])

    def _run_job(self) -> None:
        try:
            self._host.peer.run()
        except SystemExit as error:
            self._drain(self._order["stop_grace_s"], _code_of(error))
        except BaseException as error:
            traceback.print_exc()
            self._tell({"failed": f"run: {_describe(error)}"})
            self._drain(self._order["stop_grace_s"], 1)
        else:
            self._drain(self._order["stop_grace_s"], 0)

    def _heartbeat(self) -> dict[str, Any]:
        """Answer in the Session's own thread, however busy the handlers are."""
        status: dict[str, Any] = self._host.status()
        return {
            "incarnation": self._order["incarnation"],
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started_at, 3),
            "pss_bytes": self._pss_bytes(),
            **status,
        }

    def _pss_bytes(self) -> int | None:
        sampled_at, pss = self._pss
        now = time.monotonic()
        if pss is None or now - sampled_at >= self._order["pss_interval_s"]:
            pss = pss_bytes()
            self._pss = (now, pss)
        return pss

    # ------------------------------------------------------------------ the end

    def _drain(self, grace_s: float, exit_code: int) -> None:
        with self._drain_lock:
            if self._drain_begun:
                return
            self._drain_begun = True
        is_clean = self._host.drain(grace_s)
        if is_clean or exit_code or self._order["kind"] == "job":
            self._leave(exit_code)
        # Else handlers are still at it: SIGTERM comes next, which user code may have a handler for.

    def _leave(self, exit_code: int) -> None:
        """Ask the main thread to exit."""
        self._exit_code = exit_code
        with contextlib.suppress(BlockingIOError):
            self._wake_writes.send(b"x")

    def _fail(self, error: BaseException) -> NoReturn:
        from wampy.peer import ConfigError

        traceback.print_exc()
        self._tell({"failed": _describe(error)})
        self._exit(EXIT_CANNOT_START if isinstance(error, ConfigError) else 1)

    def _tell(self, message: dict[str, Any]) -> None:
        with self._send_lock:
            channel.send(self._link, message)

    def _exit(self, code: int) -> NoReturn:
        """Flush and end; handlers still running are cut off, their grace is over."""
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _code_of(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
