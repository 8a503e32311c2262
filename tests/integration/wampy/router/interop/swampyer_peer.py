"""A Peer of swampyer; see ``contract.py``."""

import os
import queue
from concurrent.futures import ThreadPoolExecutor

from swampyer import ExAbort, ExInvocationError, WAMPClient, WAMPClientTicket

from tests.integration.wampy.router.interop.contract import (
    LOGINS,
    OCTETS,
    ROLE,
    SERIALIZER,
    URL,
    VALUES,
    say,
)

OPTIONS = {
    # Its name for RawSocket on TCP.
    "url": URL.replace("tcp://", "tcpip://"),
    "realm": "realm1",
    "serializers": [SERIALIZER],
    "auto_reconnect": False,
}


class Client(WAMPClient):
    """Tells a GOODBYE of the Router's, which swampyer itself passes over."""

    def __init__(self, **options):
        super().__init__(**options)
        self.goodbye: queue.Queue = queue.Queue()

    def handle_goodbye(self, goodbye):
        self.goodbye.put(goodbye.reason)


def callee():
    client = Client(**OPTIONS).start()

    def echo(invocation, *args, **kwargs):
        return [list(args), kwargs]

    def fail(invocation):
        raise ValueError("mine", 1)

    client.register("com.peer.echo", echo)
    client.register("com.peer.pattern", echo, details={"match": "prefix"})
    client.register("com.peer.fail", fail)
    gone = client.register("com.peer.gone", echo)
    client.unregister(gone.registration_id)
    say("ready")
    say(client.goodbye.get())


def caller():
    client = Client(**OPTIONS).start()
    told: dict = {}
    told["echo"] = [client.call("com.ours.echo", value, key=value) for value in VALUES]
    told["shapes"] = [
        client.call("com.ours.echo"),
        client.call("com.ours.echo", 1, 2),
        client.call("com.ours.echo", a=1),
    ]
    if SERIALIZER != "json":
        back = client.call("com.ours.echo", OCTETS)[0][0]
        told["bytes"] = [client.call("com.ours.is_bytes", OCTETS), back == OCTETS]
    try:
        client.call("com.ours.fail")
    except ExInvocationError as error:
        told["error"] = list(error.args)
    events: queue.Queue = queue.Queue()
    matched: queue.Queue = queue.Queue()

    def keep(event, *args, **kwargs):
        events.put([list(args), kwargs])

    def keep_topic(event, *args, **kwargs):
        matched.put(event.details["topic"])

    subscription = client.subscribe("com.ours.events", keep)
    client.subscribe("com.ours.matched", keep_topic, options={"match": "prefix"})
    client.call("com.ours.publish")
    told["events"] = [events.get() for _ in VALUES]
    told["matched"] = [matched.get(), matched.get()]
    client.unsubscribe(subscription.subscription_id)
    client.call("com.ours.publish")
    told["matched"] += [matched.get(), matched.get()]
    told["unsubscribed"] = events.empty()
    for value in VALUES:
        client.publish("com.ours.topic", args=[value], kwargs={"key": value})
    with ThreadPoolExecutor(200) as pool:
        many = pool.map(lambda number: client.call("com.ours.echo", number), range(200))
        told["many"] = [one[0][0] for one in many]
    say(told)
    client.disconnect()
    say("left")


def join():
    for method, authid, secret in LOGINS:
        if method == "anonymous":
            client = WAMPClient(**OPTIONS)
        else:
            client = WAMPClientTicket(username=authid, password=secret, **OPTIONS)
        try:
            client.start()
        except ExAbort as error:
            say(["refused", str(error)])
        else:
            say(["joined", client.peer.details["authid"], client.peer.details["authrole"]])
            client.disconnect()


if __name__ == "__main__":
    {"callee": callee, "caller": caller, "join": join}[ROLE]()
    # Its threads that wait for what never comes end with it.
    os._exit(0)
