// A Peer of wampy.js; see `contract.py`.
"use strict";

const { pathToFileURL } = require("node:url");
const { Wampy } = require("wampy");
const { CborSerializer } = require("wampy/CborSerializer.js");
const { JsonSerializer } = require("wampy/JsonSerializer.js");
const { MsgpackSerializer } = require("wampy/MsgpackSerializer.js");
const cryptosign = require("wampy/cryptosign.js");
const WebSocket = require("ws");
const { role, url, serializer, logins, Queue, values, octets, numbers, say } = require("./contract.js");

const Serializer = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer }[serializer];

function client(options) {
  return new Wampy(url, {
    realm: "realm1",
    ws: WebSocket,
    autoReconnect: false,
    serializer: new Serializer(),
    ...options,
  });
}

async function callee() {
  // It does not say why a session ends.
  const wampy = client({ onClose: () => say("closed") });
  await wampy.connect();
  const echo = ({ argsList, argsDict }) => ({ argsList: [[argsList || [], argsDict || {}]] });
  const fail = () => {
    throw { error: "com.error.mine", argsList: [1], argsDict: { key: "value" } };
  };
  const progress = ({ argsList: [count], result_handler }) => {
    for (let number = 0; number < count; number++) {
      result_handler({ argsList: [number], options: { progress: true } });
    }
    return { argsList: ["done"] };
  };
  await wampy.register("com.peer.echo", echo);
  await wampy.register("com.peer.pattern", echo, { match: "prefix" });
  await wampy.register("com.peer.fail", fail);
  await wampy.register("com.peer.progress", progress);
  await wampy.register("com.peer.gone", echo);
  await wampy.unregister("com.peer.gone");
  say("ready");
}

async function caller() {
  const wampy = client({ onClose: () => say("closed") });
  await wampy.connect();
  const told = {};
  const call = async (procedure, argsList, argsDict) =>
    (await wampy.call(procedure, { argsList, argsDict })).argsList[0];
  const echo = (argsList, argsDict) => call("com.ours.echo", argsList, argsDict);
  told.echo = [];
  for (const value of values) told.echo.push(await echo([value], { key: value }));
  told.shapes = [await echo([]), await echo([1, 2]), await echo([], { a: 1 })];
  if (serializer !== "json") {
    const back = (await echo([octets]))[0][0];
    told.bytes = [await call("com.ours.is_bytes", [octets]), octets.equals(back)];
  }
  try {
    await wampy.call("com.ours.fail");
  } catch (error) {
    told.error = [error.errorUri, error.argsList, error.argsDict];
  }
  const chunks = [];
  const { argsList } = await wampy.call("com.ours.progress", [3], {
    progress_callback: (chunk) => chunks.push(chunk.argsList[0]),
  });
  told.progress = [argsList[0], chunks];
  const events = new Queue();
  const matched = new Queue();
  const subscription = await wampy.subscribe("com.ours.events", (event) =>
    events.put([event.argsList || [], event.argsDict || {}]),
  );
  await wampy.subscribe("com.ours.matched", (event) => matched.put(event.details.topic), {
    match: "prefix",
  });
  await wampy.call("com.ours.publish");
  told.events = await events.get(values.length);
  told.matched = await matched.get(2);
  await wampy.unsubscribe(subscription.subscriptionKey);
  await wampy.call("com.ours.publish");
  told.matched.push(...(await matched.get(2)));
  told.unsubscribed = events.items.length === 0;
  // It asks for the acknowledgement of each publication by itself.
  for (const value of values) {
    await wampy.publish("com.ours.topic", { argsList: [value], argsDict: { key: value } });
  }
  told.many = (await Promise.all(numbers.map((number) => echo([number])))).map(([[number]]) => number);
  say(told);
  await wampy.disconnect();
}

async function join() {
  // An ES module, in its package for `require` too.
  const wampcra = await import(pathToFileURL(require.resolve("wampy/wampcra.js")));
  for (const [method, authid, secret] of logins) {
    const plugins = {
      ticket: () => secret,
      wampcra: wampcra.sign(secret),
      cryptosign: method === "cryptosign" ? cryptosign.sign(secret) : null,
    };
    const options = {};
    if (method !== "anonymous") {
      options.authid = authid;
      options.authmethods = [method];
      options.authMode = "auto";
      options.authPlugins = { [method]: plugins[method] };
    }
    if (method === "cryptosign") {
      const { publicKey } = require("tweetnacl").sign.keyPair.fromSeed(Buffer.from(secret, "hex"));
      options.authextra = { pubkey: cryptosign.bytes2hex(publicKey) };
    }
    const wampy = client(options);
    try {
      const details = await wampy.connect();
      say(["joined", details.authid, details.authrole]);
      await wampy.disconnect();
    } catch (error) {
      say(["refused", error.errorUri]);
    }
  }
}

({ callee, caller, join })[role]().catch((error) => {
  console.error(error);
  process.exit(1);
});
