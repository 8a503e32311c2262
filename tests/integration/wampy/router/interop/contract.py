"""What the Peers of others in Python share; ``../test_interop.py`` says what it asks of them all.

A Peer is started as ``callee|caller|join URL SERIALIZER``. Each of its lines is JSON after
"said: ", since libraries write there too.

- ``callee`` registers what the test calls, says "ready", and why its session ended.
- ``caller`` calls, publishes and subscribes; says what came of it, leaves, and says that too.
- ``join`` joins once for each ``[method, authid, secret]`` of the list in the environment variable
  PEER_LOGINS; says each time who it has become, or what it was told.
"""

import json
import os
import sys
from pathlib import Path

ROLE, URL, SERIALIZER = sys.argv[1:]
LOGINS = json.loads(os.environ.get("PEER_LOGINS", "[]"))
VALUES = json.loads(Path(__file__).with_name("values.json").read_text())
OCTETS = b"\0\xff"


def say(what):
    print(f"said: {json.dumps(what)}", flush=True)
