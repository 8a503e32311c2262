"""A Peer of autobahn: ``autobahn_peer.py callee|caller URL SERIALIZER``; runs in Crossbar's venv.

The callee says ``ready`` when it has registered. The caller calls, publishes and subscribes, says
what came of it as one line of JSON, and leaves.
"""

import asyncio
import json
import sys

import txaio
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import CallOptions, ComponentConfig, PublishOptions, RegisterOptions

ROLE, URL, SERIALIZER = sys.argv[1:]
SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer}
VALUES = [None, True, -(2**40), 1.5, "ä€😀", "", [1, [2]], {"a": {"b": None}}]


def say(text):
    # autobahn writes its log there too.
    print(f"said: {text}", flush=True)


class Callee(ApplicationSession):
    async def onJoin(self, details):
        async def progress(count, details=None):
            for number in range(count):
                details.progress(number)
            return "done"

        def fail():
            raise ApplicationError("com.error.mine", 1, key="value")

        def echo(*args, **kwargs):
            return [list(args), kwargs]

        def echo_event(*args):
            self.publish("com.autobahn.events", *args)

        await self.register(echo, "com.autobahn.echo")
        await self.register(fail, "com.autobahn.fail")
        options = RegisterOptions(details_arg="details")
        await self.register(progress, "com.autobahn.progress", options=options)
        await self.subscribe(echo_event, "com.autobahn.topic")
        say("ready")

    def onLeave(self, details):
        say(details.reason)
        self.disconnect()

    def onDisconnect(self):
        asyncio.get_running_loop().stop()


class Caller(ApplicationSession):
    async def onJoin(self, details):
        told = {}
        told["echo"] = [await self.call("com.wampy.echo", value, key=value) for value in VALUES]
        told["bytes"] = await self.call("com.wampy.is_bytes", b"\0\xff")
        try:
            await self.call("com.wampy.fail")
        except ApplicationError as error:
            told["error"] = [error.error, list(error.args), error.kwargs]
        chunks: list = []
        options = CallOptions(on_progress=chunks.append)
        told["progress"] = [await self.call("com.wampy.progress", 3, options=options), chunks]
        events: asyncio.Queue = asyncio.Queue()
        await self.subscribe(events.put_nowait, "com.wampy.topic")
        options = PublishOptions(acknowledge=True, exclude_me=False)
        for value in VALUES:
            await self.publish("com.wampy.topic", value, options=options)
        told["events"] = [await events.get() for _ in VALUES]
        calls = [self.call("com.wampy.echo", number) for number in range(200)]
        told["many"] = [one[0][0] for one in await asyncio.gather(*calls)]
        say(json.dumps(told))
        self.leave()

    def onLeave(self, details):
        say(details.reason)
        self.disconnect()

    def onDisconnect(self):
        asyncio.get_running_loop().stop()


def main():
    session = Callee if ROLE == "callee" else Caller
    serializer = SERIALIZERS[SERIALIZER]()
    if URL.startswith("ws:"):
        ApplicationRunner(URL, "realm1", serializers=[serializer]).run(session)
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    txaio.use_asyncio()
    txaio.config.loop = loop
    factory = WampRawSocketClientFactory(
        lambda: session(ComponentConfig("realm1")), serializer=serializer
    )
    if URL.startswith("unix:"):
        connecting = loop.create_unix_connection(factory, URL.removeprefix("unix://"))
    else:
        host, _, port = URL.removeprefix("tcp://").partition(":")
        connecting = loop.create_connection(factory, host, int(port))
    loop.run_until_complete(connecting)
    loop.run_forever()


if __name__ == "__main__":
    main()
