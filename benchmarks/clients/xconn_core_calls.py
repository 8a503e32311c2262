"""What xconn-core does a second, with its blocking client; see ``measuring``."""

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
from xconn_core import Client
from xconn_core.serializers import JSONSerializer, MsgPackSerializer
from xconn_core.types import Result

SERIALIZERS = {"unix": MsgPackSerializer, "json": JSONSerializer}


def main():
    client = Client(serializer=SERIALIZERS[WAY]()) if WAY in SERIALIZERS else Client()
    session = client.connect(URL, "realm1")
    if ROLE == "callee":
        heard = Heard()
        session.register(PROCEDURE, lambda invocation: Result(invocation.args)).execute()
        session.register(COUNT, lambda invocation: Result([heard.count])).execute()
        session.subscribe(TOPIC, heard).execute()
        wait_for_ever()

    def call(text):
        return session.call(PROCEDURE).arg(text).execute().args[0]

    measure(
        call,
        lambda text: session.publish(TOPIC).arg(text).execute(),
        lambda: session.call(COUNT).execute().args[0],
        lambda: rate_of_threads(call),
    )
    session.leave()


if __name__ == "__main__":
    main()
