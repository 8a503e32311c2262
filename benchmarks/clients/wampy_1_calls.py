"""What wampy 1.1.0 does a second, another library with our name; see ``measuring``.

One call at a time: all its clients share one queue of replies, which go to whoever asks first.
"""

import logging

from measuring import COUNT, PROCEDURE, ROLE, TOPIC, URL, Heard, measure, wait_for_ever

from wampy.peers import Client  # type: ignore[import-not-found]
from wampy.roles.callee import callee  # type: ignore[import-not-found]
from wampy.roles.subscriber import subscribe  # type: ignore[import-not-found]

logging.disable(logging.CRITICAL)
heard = Heard()


def named(name, function):
    """Give a handler whose name is the URI."""
    function.__name__ = name
    return callee(function)


def on_event(self, *args, **kwargs):
    heard()


Callee = type(
    "Callee",
    (Client,),
    {
        PROCEDURE: named(PROCEDURE, lambda self, text: text),
        COUNT: named(COUNT, lambda self: heard.count),
        "on_event": subscribe(topic=TOPIC)(on_event),
    },
)


def main():
    if ROLE == "callee":
        with Callee(url=URL):
            wait_for_ever()
    with Client(url=URL) as client:
        measure(
            lambda text: client.call(PROCEDURE, text),
            lambda text: client.publish(topic=TOPIC, text=text),
            lambda: client.call(COUNT),
            None,
        )


if __name__ == "__main__":
    main()
