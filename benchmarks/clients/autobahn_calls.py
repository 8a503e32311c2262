"""What autobahn does a second, with asyncio; see ``measuring``."""

import asyncio
import time

import txaio
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import ComponentConfig
from measuring import (
    BATCH,
    COUNT,
    IN_FLIGHT,
    PROCEDURE,
    ROLE,
    SECONDS,
    SIZES,
    TOPIC,
    URL,
    WAY,
    Heard,
    tell,
)


class Callee(ApplicationSession):
    async def onJoin(self, details):
        heard = Heard()
        await self.register(lambda text: text, PROCEDURE)
        await self.register(lambda: heard.count, COUNT)
        await self.subscribe(heard, TOPIC)
        print("ready", flush=True)


class Caller(ApplicationSession):
    async def onJoin(self, details):
        for _ in range(100):
            await self.call(PROCEDURE, "warm")
        tell("sequential", await self.rate("hello"))
        tell("in_flight", await self.rate("hello", IN_FLIGHT))
        tell("events", await self.rate_of_events())
        for name, size in SIZES.items():
            tell(name, await self.rate("x" * size))
        self.leave()

    async def rate(self, text, tasks=1):
        count, began = 0, time.perf_counter()

        async def run():
            nonlocal count
            while time.perf_counter() - began < SECONDS:
                await self.call(PROCEDURE, text)
                count += 1

        await asyncio.gather(*(run() for _ in range(tasks)))
        return count / (time.perf_counter() - began)

    async def rate_of_events(self):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            for _ in range(BATCH):
                self.publish(TOPIC, "hello")
            count += BATCH
            while await self.call(COUNT) < count:
                assert time.perf_counter() - began < SECONDS + 10, "events are lost"
        return count / (time.perf_counter() - began)

    def onLeave(self, details):
        self.disconnect()

    def onDisconnect(self):
        asyncio.get_event_loop().stop()


def main():
    session = Callee if ROLE == "callee" else Caller
    if WAY != "unix":
        serializers = [JsonSerializer()] if WAY == "json" else None
        ApplicationRunner(URL, "realm1", serializers=serializers).run(session)
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
