// What the Peers of others for Node share: `contract.py` in JavaScript.
"use strict";

const [role, url, serializer] = process.argv.slice(2);
const logins = JSON.parse(process.env.PEER_LOGINS || "[]");

// A queue whose `get` waits for what is put later.
class Queue {
  constructor() {
    this.items = [];
    this.waiting = [];
  }

  put(item) {
    const next = this.waiting.shift();
    if (next) next(item);
    else this.items.push(item);
  }

  async get(count) {
    const got = [];
    while (got.length < count) {
      got.push(
        this.items.length ? this.items.shift() : await new Promise((give) => this.waiting.push(give)),
      );
    }
    return got;
  }
}

module.exports = {
  role,
  url,
  serializer,
  logins,
  Queue,
  values: require("./values.json"),
  octets: Buffer.from([0, 255]),
  numbers: Array.from({ length: 200 }, (_, number) => number),
  // Integers of 64 bits come as BigInt from some, which JSON.stringify does not take.
  say: (what) =>
    console.log(
      "said: " + JSON.stringify(what, (_, one) => (typeof one === "bigint" ? Number(one) : one)),
    ),
};
