"""A Peer of xconn; see ``contract.py``. The callee is of its threads, the caller of its asyncio."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from wampproto.exception import ApplicationError as Refused
from websockets.exceptions import ConnectionClosedError, InvalidMessage
from xconn import (
    AnonymousAuthenticator,
    AsyncClient,
    CBORSerializer,
    Client,
    CryptoSignAuthenticator,
    JSONSerializer,
    MsgPackSerializer,
    TicketAuthenticator,
    WAMPCRAAuthenticator,
)
from xconn.exception import ApplicationError
from xconn.types import Result

from tests.integration.wampy.router.interop.contract import (
    LOGINS,
    OCTETS,
    ROLE,
    SERIALIZER,
    URL,
    VALUES,
    say,
)

SERIALIZERS = {"json": JSONSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
AUTHENTICATORS = {
    "ticket": TicketAuthenticator,
    "wampcra": WAMPCRAAuthenticator,
    "cryptosign": CryptoSignAuthenticator,
}


def connected(*authenticator, **options):
    client = Client(*authenticator, serializer=SERIALIZERS[SERIALIZER]())
    for _ in range(2):
        try:
            return client.connect(URL, "realm1", **options)
        except (InvalidMessage, ConnectionClosedError):
            # One thread of its WebSocket library reads from TLS while another one writes; once in
            # a hundred times the request is lost on that, and the Router hangs up at last.
            continue
    return client.connect(URL, "realm1", **options)


def callee():
    ended = threading.Event()
    session = connected(disconnect_callback=ended.set)

    def echo(invocation):
        return Result([[invocation.args or [], invocation.kwargs or {}]])

    def fail(invocation):
        raise ApplicationError("com.error.mine", 1)

    session.register("com.peer.echo", echo)
    session.register("com.peer.pattern", echo, options={"match": "prefix"})
    session.register("com.peer.fail", fail)
    session.register("com.peer.gone", echo).unregister()
    say("ready")
    ended.wait()
    say("disconnected")


class Threaded:
    """Its session of threads under the names of that of asyncio, which lacks unix+ws.

    One request at a time: its ids are not counted under a lock.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(1)
        self._session = connected()

    def _run(self, function, *args):
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def call(self, *args):
        return self._run(self._session.call, *args)

    def publish(self, *args):
        return self._run(self._session.publish, *args)

    async def subscribe(self, topic, handler, options=None):
        loop = asyncio.get_running_loop()

        def handle(event):
            asyncio.run_coroutine_threadsafe(handler(event), loop)

        made = await self._run(self._session.subscribe, topic, handle, options)
        made.unsubscribe = partial(self._run, made.unsubscribe)
        return made

    def leave(self):
        return self._run(self._session.leave)


async def caller():
    if URL.startswith("unix+ws:"):
        session: Any = Threaded()
    else:
        session = await AsyncClient(serializer=SERIALIZERS[SERIALIZER]()).connect(URL, "realm1")
    told: dict = {}

    async def echo(*args, **kwargs):
        # Lists and dictionaries of nothing are left out where nothing is given.
        return (await session.call("com.ours.echo", list(args) or None, kwargs or None)).args[0]

    told["echo"] = [await echo(value, key=value) for value in VALUES]
    told["shapes"] = [await echo(), await echo(1, 2), await echo(a=1)]
    if SERIALIZER != "json":
        is_ours = (await session.call("com.ours.is_bytes", [OCTETS])).args[0]
        told["bytes"] = [is_ours, (await echo(OCTETS))[0][0] == OCTETS]
    try:
        await session.call("com.ours.fail")
    except ApplicationError as error:
        told["error"] = [error.message, list(error.args), error.kwargs]
    events: asyncio.Queue = asyncio.Queue()
    matched: asyncio.Queue = asyncio.Queue()

    async def keep(event):
        events.put_nowait([event.args or [], event.kwargs or {}])

    async def keep_topic(event):
        matched.put_nowait(event.details["topic"])

    subscription = await session.subscribe("com.ours.events", keep)
    await session.subscribe("com.ours.matched", keep_topic, {"match": "prefix"})
    await session.call("com.ours.publish")
    told["events"] = [await events.get() for _ in VALUES]
    told["matched"] = [await matched.get(), await matched.get()]
    await subscription.unsubscribe()
    await session.call("com.ours.publish")
    told["matched"] += [await matched.get(), await matched.get()]
    told["unsubscribed"] = events.empty()
    for value in VALUES:
        await session.publish("com.ours.topic", [value], {"key": value}, {"acknowledge": True})
    told["many"] = [one[0][0] for one in await asyncio.gather(*map(echo, range(200)))]
    say(told)
    await session.leave()
    say("left")


def join():
    for method, authid, secret in LOGINS:
        if method == "anonymous":
            authenticator = AnonymousAuthenticator("")
        else:
            authenticator = AUTHENTICATORS[method](authid, secret)
        try:
            session = connected(authenticator)
        except Refused as error:
            say(["refused", error.message])
        else:
            details = session._base_session.session_details
            say(["joined", details.authid, details.authrole])
            session.leave()


if __name__ == "__main__":
    if ROLE == "caller":
        asyncio.run(caller())
    else:
        {"callee": callee, "join": join}[ROLE]()
