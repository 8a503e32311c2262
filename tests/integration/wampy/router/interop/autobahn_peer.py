"""A Peer of autobahn for Python; see ``contract.py``. Runs in Crossbar's venv."""

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import txaio
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import (
    CallOptions,
    ComponentConfig,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)

from tests.integration.wampy.router.interop.contract import (
    LOGINS,
    OCTETS,
    ROLE,
    SERIALIZER,
    URL,
    VALUES,
    say,
)

SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
PREFIX = RegisterOptions(match="prefix")


class Session(ApplicationSession):
    """Says why it ends."""

    def __init__(self):
        super().__init__(ComponentConfig("realm1"))
        self.ended = asyncio.get_running_loop().create_future()

    def onLeave(self, details):
        say(details.reason)
        self.disconnect()

    def onDisconnect(self):
        self.ended.set_result(None)


class Callee(Session):
    async def onJoin(self, details):
        async def progress(count, details=None):
            for number in range(count):
                details.progress(number)
            return "done"

        def fail():
            raise ApplicationError("com.error.mine", 1, key="value")

        def echo(*args, **kwargs):
            return [list(args), kwargs]

        await self.register(echo, "com.peer.echo")
        await self.register(echo, "com.peer.pattern", options=PREFIX)
        await self.register(fail, "com.peer.fail")
        options = RegisterOptions(details_arg="details")
        await self.register(progress, "com.peer.progress", options=options)
        await (await self.register(echo, "com.peer.gone")).unregister()
        say("ready")


class Caller(Session):
    async def onJoin(self, details):
        say(await self.act())
        self.leave()

    async def act(self):
        told: dict = {}
        told["echo"] = [await self.call("com.ours.echo", value, key=value) for value in VALUES]
        told["shapes"] = [
            await self.call("com.ours.echo"),
            await self.call("com.ours.echo", 1, 2),
            await self.call("com.ours.echo", a=1),
        ]
        back = (await self.call("com.ours.echo", OCTETS))[0][0]
        told["bytes"] = [await self.call("com.ours.is_bytes", OCTETS), back == OCTETS]
        try:
            await self.call("com.ours.fail")
        except ApplicationError as error:
            told["error"] = [error.error, list(error.args), error.kwargs]
        chunks: list = []
        options = CallOptions(on_progress=chunks.append)
        told["progress"] = [await self.call("com.ours.progress", 3, options=options), chunks]
        events: asyncio.Queue = asyncio.Queue()
        matched: asyncio.Queue = asyncio.Queue()

        def keep(*args, **kwargs):
            events.put_nowait([list(args), kwargs])

        def keep_topic(*args, details, **kwargs):
            matched.put_nowait(details.topic)

        subscription = await self.subscribe(keep, "com.ours.events")
        await self.subscribe(
            keep_topic,
            "com.ours.matched",
            options=SubscribeOptions(match="prefix", details_arg="details"),
        )
        await self.call("com.ours.publish")
        told["events"] = [await events.get() for _ in VALUES]
        told["matched"] = [await matched.get(), await matched.get()]
        await subscription.unsubscribe()
        await self.call("com.ours.publish")
        told["matched"] += [await matched.get(), await matched.get()]
        told["unsubscribed"] = events.empty()
        for value in VALUES:
            await self.publish(
                "com.ours.topic", value, key=value, options=PublishOptions(acknowledge=True)
            )
        calls = [self.call("com.ours.echo", number) for number in range(200)]
        told["many"] = [one[0][0] for one in await asyncio.gather(*calls)]
        return told


class Login(Session):
    """Joins by one method."""

    has_joined = False

    def __init__(self, method, authid, secret):
        super().__init__()
        self.method, self.who, self.secret = method, authid, secret

    def onConnect(self):
        secrets: dict = {
            "ticket": {"ticket": self.secret},
            "wampcra": {"secret": self.secret},
            "scram": {"password": self.secret},
            "cryptosign": {"privkey": self.secret, "authextra": {}},
        }
        secret = secrets.get(self.method, {})
        who = {"authid": self.who} if secret else {}
        self.proof = create_authenticator(self.method, **who, **secret)
        self.join("realm1", [self.method], self.who, authextra=self.proof.authextra)

    def onChallenge(self, challenge):
        return self.proof.on_challenge(self, challenge)

    def onWelcome(self, welcome):
        return self.proof.on_welcome(self, welcome.authextra)

    def onJoin(self, details):
        self.has_joined = True
        say(["joined", details.authid, details.authrole])
        self.leave()

    def onLeave(self, details):
        if not self.has_joined:
            say(["refused", details.reason])
        self.disconnect()


async def run(session):
    loop = asyncio.get_running_loop()
    txaio.config.loop = loop
    serializer = SERIALIZERS[SERIALIZER]()
    url: Any = urlsplit(URL)
    if url.scheme in ("ws", "wss"):
        factory = WampWebSocketClientFactory(lambda: session, url=URL, serializers=[serializer])
    else:
        factory = WampRawSocketClientFactory(lambda: session, serializer=serializer)
    if url.scheme == "unix":
        await loop.create_unix_connection(factory, url.path)
    else:
        tls = ssl.create_default_context() if url.scheme in ("wss", "tcps") else None
        await loop.create_connection(factory, url.hostname, url.port, ssl=tls)
    await session.ended


async def main():
    if ROLE != "join":
        await run({"callee": Callee, "caller": Caller}[ROLE]())
        return
    for login in LOGINS:
        await run(Login(*login))


if __name__ == "__main__":
    txaio.use_asyncio()
    asyncio.run(main())
