"""Clients of autobahn that join: ``logins.py URL CA``; runs in Crossbar's venv.

Standard input has one JSON object: the logins, each [METHOD, AUTHID, SECRET] or, for cryptosign,
[METHOD, AUTHID, SECRET, CHANNEL_BINDING]. For each it says in one line of JSON as whom and as what
it has joined, or null.
"""

import asyncio
import json
import ssl
import sys

from autobahn.asyncio.wamp import ApplicationRunner, Session
from autobahn.wamp.auth import create_authenticator

URL, CA = sys.argv[1:]
KEYS = {"ticket": "ticket", "wampcra": "secret", "scram": "password", "cryptosign": "privkey"}


async def login(method, authid, secret, binding=None):
    ended = asyncio.get_running_loop().create_future()

    class Client(Session):
        said = None

        def __init__(self, config=None):
            super().__init__(config)
            options = {"authid": authid, KEYS[method]: secret}
            if binding is not None:
                options["authextra"] = {"channel_binding": binding}
            self.add_authenticator(create_authenticator(method, **options))

        async def on_join(self, details):
            self.said = [details.authid, details.authrole, details.authmethod]
            self.leave()

        def on_leave(self, details):
            self.disconnect()

        def on_disconnect(self):
            if not ended.done():
                ended.set_result(self.said)

    context = ssl.create_default_context(cafile=CA)
    await ApplicationRunner(URL, "realm1", ssl=context).run(Client, start_loop=False)
    return await ended


async def main():
    for one in json.load(sys.stdin):
        # autobahn writes its log there too.
        print("said:", json.dumps(await login(*one)), flush=True)


asyncio.run(main())
