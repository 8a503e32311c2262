"""Programs for the system tests: what they are, and how a manifest names them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: autobahn-js, where ``make`` has put it.
NODE_MODULES = ROOT / ".venv-clients" / "node_modules"

#: Joins as it is told and registers: a Python program without anything of an orchestrator in it.
ADDER = """
import os, signal, sys, time
from wampy import Session
from wampy.auth import by_method

prefix, index = "PREFIX.", os.environ["WAMPY_INSTANCE"].partition(":")[2]
given = os.environ.get
session = Session(
    os.environ["WAMPY_URL"],
    realm=os.environ["WAMPY_REALM"],
    auth=by_method(
        given("WAMPY_AUTHMETHOD", "ticket"),
        given("WAMPY_AUTHID"),
        given("WAMPY_TICKET", given("WAMPY_SECRET")),
    ),
)
state = {"ready": True, "in_flight": 3}
hung = []

def heartbeat():
    while hung:
        time.sleep(0.1)
    return state if state else None

def stop(signum, frame):
    raise SystemExit

def add(a, b):
    return a + b

signal.signal(signal.SIGTERM, stop)
session.begin()
for uri, handler in (
    (prefix + "pid", os.getpid),
    (prefix + "add", add),
    (prefix + "hang", lambda: hung.append(1)),
    (prefix + "say", state.update),
    (f"{prefix}{index}.beat", heartbeat),
):
    session.register(uri, handler, invoke="roundrobin")
print("registered", flush=True)
try:
    while True:
        signal.pause()
finally:
    session.drain()
    session.end()
"""

#: The same with autobahn-js.
NODE = """
const autobahn = require("autobahn");
const { WAMPY_URL: url, WAMPY_REALM: realm, WAMPY_AUTHID: authid, WAMPY_TICKET: ticket } =
  process.env;
const connection = new autobahn.Connection({
  url, realm, authid, authmethods: ["ticket"], onchallenge: () => ticket,
});
connection.onopen = async (session) => {
  await session.register("PREFIX.js.pid", () => process.pid);
  await session.register("PREFIX.js.add", ([a, b]) => a + b);
  await session.register("PREFIX.js.beat", () => ({ ready: true, calls: 7 }));
  console.log("registered");
};
process.on("SIGTERM", () => {
  connection.close();
  process.exit(0);
});
connection.open();
"""


def python(module: str) -> str:
    """Give the ``command`` of a Python program beside the manifest."""
    return json.dumps([sys.executable, "-u", f"{module}.py"])


def shell(script: str) -> str:
    """Give the ``command`` of a shell script."""
    return json.dumps(["sh", "-c", script])


def adder(more: str = "", heartbeat: str = '{ interval = "200ms", timeout = "3s" }') -> str:
    """Give the manifest of one adder."""
    return f"""
[peers.adder]
command = {python("adder")}
provides = ["PREFIX.pid", "PREFIX.add"]
heartbeat = {heartbeat}
{more}
"""


def node(more: str = "") -> str:
    """Give the manifest of one program of autobahn-js."""
    return f"""
[peers.js]
command = ["node", "svc.js"]
provides = ["PREFIX.js.add"]
heartbeat_procedure = "PREFIX.js.beat"
env = {{ NODE_PATH = {json.dumps(str(NODE_MODULES))} }}
{more}
"""
