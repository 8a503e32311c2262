// A Peer of autobahn-js; see `contract.py`.
"use strict";

const autobahn = require("autobahn");
const { role, url, serializer, logins, Queue, values, octets, numbers, say } = require("./contract.js");

const Serializer = {
  json: autobahn.serializer.JSONSerializer,
  msgpack: autobahn.serializer.MsgpackSerializer,
  cbor: autobahn.serializer.CBORSerializer,
}[serializer];

function transport() {
  if (url.startsWith("ws")) return { type: "websocket", url, serializers: [new Serializer()] };
  // Its RawSocket speaks JSON only.
  if (url.startsWith("unix:")) return { type: "rawsocket", path: url.slice("unix://".length) };
  const { hostname: host, port } = new URL(url);
  return { type: "rawsocket", host, port: Number(port) };
}

// Connects; `ended` is told the Router's reason.
function connect(options, opened, ended) {
  const connection = new autobahn.Connection({ transports: [transport()], realm: "realm1", ...options });
  connection.onopen = (session, details) =>
    Promise.resolve(opened(session, details, connection)).catch((error) => {
      console.error(error);
      process.exit(1);
    });
  connection.onclose = (reason, details) => {
    ended(details.reason);
    return true;
  };
  connection.open();
}

async function callee(session) {
  const echo = (args, kwargs) => [args, kwargs];
  const fail = () => {
    throw new autobahn.Error("com.error.mine", [1], { key: "value" });
  };
  const progress = ([count], kwargs, details) => {
    for (let number = 0; number < count; number++) details.progress([number]);
    return "done";
  };
  await session.register("com.peer.echo", echo);
  await session.register("com.peer.pattern", echo, { match: "prefix" });
  await session.register("com.peer.fail", fail);
  await session.register("com.peer.progress", progress);
  await session.unregister(await session.register("com.peer.gone", echo));
  say("ready");
}

async function caller(session, details, connection) {
  const told = {};
  const echo = (args, kwargs) => session.call("com.ours.echo", args, kwargs);
  told.echo = [];
  for (const value of values) told.echo.push(await echo([value], { key: value }));
  told.shapes = [await echo(), await echo([1, 2]), await echo([], { a: 1 })];
  if (serializer !== "json") {
    const back = (await echo([octets]))[0][0];
    told.bytes = [await session.call("com.ours.is_bytes", [octets]), octets.equals(back)];
  }
  try {
    await session.call("com.ours.fail");
  } catch (error) {
    told.error = [error.error, error.args, error.kwargs];
  }
  const chunks = [];
  const done = session.call("com.ours.progress", [3], {}, { receive_progress: true });
  told.progress = [await done.then(null, null, (chunk) => chunks.push(chunk)), chunks];
  const events = new Queue();
  const matched = new Queue();
  const subscription = await session.subscribe("com.ours.events", (args, kwargs) =>
    events.put([args, kwargs]),
  );
  await session.subscribe("com.ours.matched", (args, kwargs, event) => matched.put(event.topic), {
    match: "prefix",
  });
  await session.call("com.ours.publish");
  told.events = await events.get(values.length);
  told.matched = await matched.get(2);
  await session.unsubscribe(subscription);
  await session.call("com.ours.publish");
  told.matched.push(...(await matched.get(2)));
  told.unsubscribed = events.items.length === 0;
  for (const value of values) {
    await session.publish("com.ours.topic", [value], { key: value }, { acknowledge: true });
  }
  told.many = (await Promise.all(numbers.map((number) => echo([number])))).map(([[number]]) => number);
  say(told);
  connection.close();
}

function onchallenge(secret) {
  return (session, method, extra) => {
    if (method === "ticket") return secret;
    if (method === "cryptosign") {
      return autobahn.auth_cryptosign.sign_challenge(keys(secret), extra);
    }
    const { salt, iterations, keylen, challenge } = extra;
    const key = salt ? autobahn.auth_cra.derive_key(secret, salt, iterations, keylen) : secret;
    return autobahn.auth_cra.sign(key, challenge);
  };
}

function keys(secret) {
  return require("tweetnacl").sign.keyPair.fromSeed(Buffer.from(secret, "hex"));
}

async function join() {
  for (const [method, authid, secret] of logins) {
    const options = { authmethods: [method], onchallenge: onchallenge(secret) };
    if (method !== "anonymous") options.authid = authid;
    if (method === "cryptosign") {
      options.authextra = { pubkey: autobahn.auth_cryptosign.public_key(keys(secret)) };
    }
    await new Promise((next) => {
      let joined = false;
      const opened = (session, details, connection) => {
        joined = true;
        say(["joined", details.authid, details.authrole]);
        connection.close();
      };
      connect(options, opened, (reason) => {
        if (!joined) say(["refused", reason]);
        next();
      });
    });
  }
}

// Why it cannot connect would be in its log only.
process.on("unhandledRejection", (error) => {
  console.error(error);
  process.exit(1);
});
if (role === "join") join();
else connect({}, role === "callee" ? callee : caller, say);
