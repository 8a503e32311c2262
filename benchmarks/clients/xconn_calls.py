"""What xconn does a second, with its blocking client; see ``measuring``."""

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
from xconn import Client, JSONSerializer, MsgPackSerializer
from xconn.types import Result

SERIALIZERS = {"unix": MsgPackSerializer, "json": JSONSerializer}


def main():
    client = Client(serializer=SERIALIZERS[WAY]()) if WAY in SERIALIZERS else Client()
    session = client.connect(URL, "realm1")
    if ROLE == "callee":
        heard = Heard()
        session.register(PROCEDURE, lambda invocation: Result(invocation.args))
        session.register(COUNT, lambda invocation: Result([heard.count]))
        session.subscribe(TOPIC, heard)
        wait_for_ever()

    def call(text):
        return session.call(PROCEDURE, [text]).args[0]

    measure(
        call,
        lambda text: session.publish(TOPIC, [text]),
        lambda: session.call(COUNT).args[0],
        lambda: rate_of_threads(call),
    )
    session.leave()


if __name__ == "__main__":
    main()
