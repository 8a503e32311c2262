// A Peer in another language: joins as `wampy up` says, and registers what its argument names.
"use strict";

const autobahn = require("autobahn");

const [procedure, heartbeat] = process.argv.slice(2);
const connection = new autobahn.Connection({
  url: process.env.WAMPY_URL,
  realm: process.env.WAMPY_REALM,
  authmethods: ["ticket"],
  authid: process.env.WAMPY_AUTHID,
  onchallenge: () => process.env.WAMPY_TICKET,
  max_retries: -1,
  initial_retry_delay: 0.1,
});
let hangs = false;
connection.onopen = async (session) => {
  const who = { pid: process.pid, instance: process.env.WAMPY_INSTANCE };
  await session.register(procedure, () => who, { invoke: "roundrobin" });
  await session.register(procedure + ".hang", () => { hangs = true; }, { invoke: "roundrobin" });
  if (heartbeat) {
    const name = heartbeat.replace("INDEX", process.env.WAMPY_INSTANCE.split(":")[1]);
    await session.register(name, () => (hangs ? new Promise(() => {}) : { ready: true }));
  }
  console.log("registered", procedure);
};
process.on("SIGTERM", () => {
  connection.close();
  setTimeout(() => process.exit(0), 50);
});
connection.open();
