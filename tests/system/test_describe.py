"""`wampy describe`: what a running Peer offers; and the topics of `wampy subscribe`."""

from __future__ import annotations

import json

from tests.support import wait_until
from tests.system.conftest import StackMaker

SHOP = '''
from wampy import Peer, rpc, subscribe

class Shop(Peer):
    """Sells things."""
    prefix = "PREFIX."

    @rpc
    def buy(self, what: str, count: int = 1) -> float:
        """Give the price.

        In euros.
        """
        return count * 1.5

    @rpc("PREFIX.any", match="prefix", invoke="last")
    def anything(self, *args): ...

    @subscribe("PREFIX.prices", match="prefix")
    def changed(self, what: str) -> None:
        """Note a price."""
'''


def test_what_a_peer_offers(make_stack: StackMaker) -> None:
    peers = (
        '[peers.shop]\napp = "shop:Shop"\nreplicas = 2\n[peers.other]\ncommand = ["sleep", "60"]\n'
    )
    stack = make_stack(peers, {"shop": SHOP}).up()
    prefix = f"com.test.{stack.name}"
    result = stack.wampy("describe", "shop")
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout
        == f"""shop:Shop
  Sells things.

procedures:
  {prefix}.buy(what: str, count: int = 1) -> float
      Give the price.

      In euros.
  {prefix}.any(*args)  [prefix, last]

topics:
  {prefix}.prices(what: str) -> None  [prefix]
      Note a price.
"""
    )
    told = json.loads(stack.wampy("describe", "shop:1", "--json").stdout)
    assert [one["uri"] for one in told["procedures"]] == [f"{prefix}.buy", f"{prefix}.any"]
    for name, text, code in (
        ("other", "other:0 does not describe itself", 1),
        ("nobody", "nobody", 2),
    ):
        result = stack.wampy("describe", name)
        assert (result.returncode, text in result.stderr) == (code, True), result.stderr
    assert stack.wampy("stop", "shop").returncode == 0
    result = stack.wampy("describe", "shop")
    assert result.returncode == 1
    assert "wampy start shop starts it" in result.stderr


def test_which_topic_an_event_of_a_pattern_was_for(make_stack: StackMaker) -> None:
    stack = make_stack('[peers.shop]\napp = "shop:Shop"\n', {"shop": SHOP}).up()
    topic = f"com.test.{stack.name}.prices"
    listening = stack.popen("subscribe", topic, "--match", "prefix", "-n", "1")

    def is_heard() -> bool:
        with stack.session() as session:
            session.publish(f"{topic}.bread", "bread", acknowledge=True)
        return listening.poll() is not None

    wait_until(is_heard)
    output, _ = listening.communicate()
    assert json.loads(output) == {"topic": f"{topic}.bread", "args": ["bread"], "kwargs": {}}
