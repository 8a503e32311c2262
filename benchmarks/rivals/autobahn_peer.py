"""One Peer as autobahn's documentation has it: ``autobahn_peer.py URL PROCEDURE``."""

import asyncio
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.types import RegisterOptions


class Peer(ApplicationSession):
    async def onJoin(self, details):
        await self.register(
            lambda text: text, sys.argv[2], options=RegisterOptions(invoke="roundrobin")
        )

    def onDisconnect(self):
        asyncio.get_event_loop().stop()


if __name__ == "__main__":
    ApplicationRunner(sys.argv[1], "realm1").run(Peer)
