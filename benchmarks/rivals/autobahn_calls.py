"""Calls per second of autobahn: ``autobahn_calls.py callee|caller URL PROCEDURE [SECONDS]``.

``unix://`` URLs: RawSocket with MessagePack; others as autobahn connects by default.
"""

import asyncio
import json
import sys
import time

import txaio
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import MsgPackSerializer
from autobahn.wamp.types import ComponentConfig

ROLE, URL, PROCEDURE = sys.argv[1:4]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0


class Callee(ApplicationSession):
    async def onJoin(self, details):
        await self.register(lambda text: text, PROCEDURE)
        print("ready", flush=True)


class Caller(ApplicationSession):
    async def onJoin(self, details):
        for _ in range(100):
            await self.call(PROCEDURE, "warm")
        result = {"sequential": await self.rate(1), "in_flight": await self.rate(32)}
        result["serializer"] = self._transport.transport_details.channel_serializer
        print(json.dumps(result), flush=True)
        self.leave()

    async def rate(self, tasks):
        count, end, began = 0, time.perf_counter() + SECONDS, time.perf_counter()

        async def run():
            nonlocal count
            while time.perf_counter() < end:
                await self.call(PROCEDURE, "hello")
                count += 1

        await asyncio.gather(*(run() for _ in range(tasks)))
        return count / (time.perf_counter() - began)

    def onLeave(self, details):
        self.disconnect()

    def onDisconnect(self):
        asyncio.get_event_loop().stop()


def main():
    session = Callee if ROLE == "callee" else Caller
    if not URL.startswith("unix://"):
        ApplicationRunner(URL, "realm1").run(session)
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    txaio.use_asyncio()
    txaio.config.loop = loop
    factory = WampRawSocketClientFactory(
        lambda: session(ComponentConfig("realm1")), serializer=MsgPackSerializer()
    )
    loop.run_until_complete(loop.create_unix_connection(factory, URL.removeprefix("unix://")))
    loop.run_forever()


if __name__ == "__main__":
    main()
