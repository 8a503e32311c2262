"""What swampyer does a second; see ``measuring``."""

import os

from measuring import (
    COUNT,
    PROCEDURE,
    ROLE,
    TOPIC,
    URL,
    WAY,
    Heard,
    measure,
    rate_of_threads,
    wait_for_ever,
)
from swampyer import WAMPClient

SERIALIZERS = {"unix": ["msgpack"], "json": ["json"]}


def main():
    options = {"serializers": SERIALIZERS[WAY]} if WAY in SERIALIZERS else {}
    client = WAMPClient(url=URL, realm="realm1", **options).start()
    if ROLE == "callee":
        heard = Heard()
        client.register(PROCEDURE, lambda invocation, text: text)
        client.register(COUNT, lambda invocation: heard.count)
        client.subscribe(TOPIC, heard)
        wait_for_ever()

    def call(text):
        return client.call(PROCEDURE, text)

    measure(
        call,
        lambda text: client.publish(TOPIC, options={"acknowledge": False}, args=[text]),
        lambda: client.call(COUNT),
        lambda: rate_of_threads(call),
    )
    os._exit(0)  # its threads would wait


if __name__ == "__main__":
    main()
