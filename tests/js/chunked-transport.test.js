import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { ChunkedTransport } from "../../static/js/uploads/chunked-transport.js";
import { Upload } from "../../static/js/uploads/upload.js";
import { fakeWorld, settle } from "./helpers/world.js";

const PIECE = 4;
const TEXT = "0123456789";

const md5 = (bytes) => createHash("md5").update(bytes).digest("hex");

/** MD5 as the worker computes it, without a worker. */
const hasher = {
  hashFile: async (blob) => md5(Buffer.from(await blob.arrayBuffer())),
  digest: async (blob) =>
    createHash("md5").update(Buffer.from(await blob.arrayBuffer())).digest("base64"),
};

/** The protocol's server in a few lines; `faults` are what happens to the next requests instead. */
class FakeServer {
  log = [];
  uploads = new Map();
  /** Each: a Response or an error to give, or a function of the answer to be. */
  faults = [];
  /** What complete answers for a whole file. */
  verified = () => [200, {}];

  async answer(url, headers, body) {
    const answer = await this.#answer(url, headers, body);
    const fault = this.faults.shift() ?? null;
    if (fault instanceof Error) throw fault;
    return fault ?? answer;
  }

  async #answer(url, headers, body) {
    if (url === "/complete") return this.#complete(body);
    if (url.startsWith("/session/")) {
      this.log.push(`cancel ${url.at(-1)}`);
      return [204, null];
    }
    const file = body.get("file");
    const data = await file.text();
    const range = headers["Content-Range"];
    const start = range ? Number(range.match(/(\d+)-/)[1]) : Number(body.get("offset") ?? 0);
    this.log.push(`${body.get("upload_id") ?? "new"} ${start} ${data || "-"} ${file.type}`.trim());
    return this.#take(body.get("upload_id"), start, data);
  }

  #take(id, start, data) {
    const upload = id ?? String(this.uploads.size + 1);
    if (id === null) this.uploads.set(upload, "");
    const content = this.uploads.get(upload);
    if (content === undefined) return [404, { code: "session_not_found", detail: "none" }];
    if (content.length !== start) return wrongOffset(content.length);
    this.uploads.set(upload, content + data);
    return [200, { upload_id: upload, offset: content.length + data.length, expires: "2026" }];
  }

  #complete(body) {
    const id = body.get("upload_id");
    this.log.push(`complete ${id}`);
    const content = this.uploads.get(id);
    if (body.get("md5") !== md5(content)) {
      return [400, { code: "digest_mismatch", detail: "md5 checksum does not match" }];
    }
    const [status, more] = this.verified();
    return [status, { upload_id: id, offset: content.length, ...more }];
  }
}

const wrongOffset = (offset) => [
  400,
  { code: "offset_mismatch", detail: "Offsets do not match", offset },
];

class FakeXhr extends EventTarget {
  upload = new EventTarget();
  headers = {};

  constructor(server) {
    super();
    this.server = server;
  }

  open(method, url) {
    Object.assign(this, { method, url });
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  getResponseHeader() {
    return null;
  }

  async send(body) {
    const loaded = body.get("file").size;
    this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded }));
    let type = "load";
    try {
      const [status, answer] = await this.server.answer(this.url, this.headers, body);
      Object.assign(this, { status, responseText: JSON.stringify(answer) });
    } catch {
      type = "error";
    }
    this.dispatchEvent(new Event(type));
    this.dispatchEvent(new Event("loadend"));
  }

  abort() {}
}

function wired(server = new FakeServer()) {
  const world = fakeWorld();
  const asked = [];
  const transport = new ChunkedTransport({
    uploadUrl: "/upload",
    completeUrl: "/complete",
    sessionUrl: "/session/{id}",
    pieceSize: PIECE,
    csrfToken: () => "token",
    clock: world.clock,
    createXhr: () => new FakeXhr(server),
    fetch: async (url, init) => {
      asked.push({ url, ...init });
      const [status, answer] = await server.answer(url, init.headers, init.body);
      return new Response(answer && JSON.stringify(answer), { status });
    },
  });
  return { server, transport, world, asked };
}

const fileOf = (text, type = "text/plain") => new File([text], "seeds.txt", { type, lastModified: 1 });

function uploadOf({ transport, world }, { file = fileOf(TEXT), session = null } = {}) {
  return new Upload({ file, transport, hasher, session, parallel: 1, ...world });
}

const stored = (id, offset) => ({
  id,
  filename: "seeds.txt",
  size: TEXT.length,
  offset,
  sha256: null,
  urls: { self: "" },
});

test("a file goes in pieces in their order, each with its type, and ends with its MD5", async () => {
  const wiring = wired();
  const status = await uploadOf(wiring).start();
  assert.equal(status.phase, "done");
  assert.deepEqual(wiring.server.log, [
    "new 0 - text/plain",
    "1 0 0123 text/plain",
    "1 4 4567 text/plain",
    "1 8 89 text/plain",
    "complete 1",
  ]);
  assert.equal(status.session.id, "1");
  assert.equal(wiring.asked[0].headers["X-CSRFToken"], "token");
});

test("an empty file is an empty piece and its MD5", async () => {
  const wiring = wired();
  assert.equal((await uploadOf(wiring, { file: fileOf("") }).start()).phase, "done");
  assert.deepEqual(wiring.server.log, ["new 0 - text/plain", "complete 1"]);
});

test("a piece that was cut off is sent again from where the upload is", async () => {
  const wiring = wired();
  const upload = uploadOf(wiring);
  const send = wiring.server.answer.bind(wiring.server);
  let pieces = 0;
  wiring.server.answer = (url, headers, body) => {
    if (headers["Content-Range"] && ++pieces === 2) throw new Error("cut");
    return send(url, headers, body);
  };
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.phase, "retrying");
  await wiring.world.clock.advance(1000);
  assert.equal((await outcome).phase, "done");
  assert.equal(wiring.server.uploads.get("1"), TEXT);
});

test("a piece whose answer was lost is not sent twice", async () => {
  const wiring = wired();
  // The handshake, and then the first piece, which the server took.
  wiring.server.faults = [null, new Error("cut")];
  const outcome = uploadOf(wiring).start();
  await settle();
  await wiring.world.clock.advance(1000);
  assert.equal((await outcome).phase, "done");
  assert.equal(wiring.server.uploads.get("1"), TEXT);
  assert.deepEqual(wiring.server.log.slice(1, 4).map((line) => line.split(" ")[1]), ["0", "0", "4"]);
});

test("the offset of a refusal is where it goes on, also in the middle of a piece", async () => {
  const server = new FakeServer();
  server.uploads.set("7", TEXT.slice(0, 6));
  const wiring = wired(server);
  const status = await uploadOf(wiring, { session: stored("7", 4) }).start();
  assert.equal(status.phase, "done");
  assert.equal(server.uploads.get("7"), TEXT);
  assert.deepEqual(server.log, ["7 4 -", "7 6 67", "7 8 89", "complete 7"]);
});

test("an upload that is gone is begun anew", async () => {
  const wiring = wired();
  const status = await uploadOf(wiring, { session: stored("gone", 4) }).start();
  assert.equal(status.phase, "done");
  assert.equal(wiring.server.uploads.get("1"), TEXT);
});

test("what the server's disk has damaged is sent again", async () => {
  const wiring = wired();
  wiring.server.verified = () => {
    wiring.server.verified = () => [200, {}];
    wiring.server.uploads.set("1", TEXT.slice(0, 4));
    return [400, { code: "chunks_missing", detail: "damaged", offset: 4 }];
  };
  assert.equal((await uploadOf(wiring).start()).phase, "done");
  assert.equal(wiring.server.uploads.get("1"), TEXT);
});

test("another MD5 fails the upload, drops it, and trying again sends it anew", async () => {
  const wiring = wired();
  const upload = uploadOf(wiring);
  const complete = wiring.server.answer.bind(wiring.server);
  let spoilt = true;
  wiring.server.answer = (url, headers, body) => {
    if (url === "/complete" && spoilt) {
      spoilt = false;
      wiring.server.uploads.set("1", "0123456780");
    }
    return complete(url, headers, body);
  };
  const failed = await upload.start();
  assert.deepEqual([failed.phase, failed.error.code], ["failed", "verification_failed"]);
  await settle();
  assert.ok(wiring.server.log.includes("cancel 1"));
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(wiring.server.uploads.get("2"), TEXT);
});

test("a verification that takes time is asked about until it ends", async () => {
  const wiring = wired();
  wiring.server.verified = () => [202, { status_url: "/status" }];
  const states = ["assembling", "completed"];
  const answer = wiring.server.answer.bind(wiring.server);
  wiring.server.answer = (url, headers, body) =>
    url === "/status" ? [200, { state: states.shift(), offset: 10 }] : answer(url, headers, body);
  const upload = uploadOf(wiring);
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.phase, "verifying");
  await wiring.world.clock.advance(1000);
  assert.equal((await outcome).phase, "done");
  assert.deepEqual(states, []);
});

test("an end whose answer was lost counts as the end", async () => {
  const wiring = wired();
  wiring.server.verified = () => [400, { code: "wrong_state", detail: "already", state: "completed" }];
  assert.equal((await uploadOf(wiring).start()).phase, "done");
});

test("a refusal for good says why, and retrying is possible", async () => {
  const wiring = wired();
  const refused = { code: "type_not_allowed", detail: "Only files ending in .txt are taken here." };
  wiring.server.faults = [[400, refused]];
  const upload = uploadOf(wiring);
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, error.message], ["failed", refused.code, refused.detail]);
  assert.equal((await upload.resume()).phase, "done");
});

test("cancelling drops the upload at the server", async () => {
  const wiring = wired();
  wiring.server.faults = [null, new Error("cut")];
  const upload = uploadOf(wiring);
  upload.start();
  await settle();
  await upload.cancel();
  assert.deepEqual([upload.status.phase, wiring.server.log.at(-1)], ["cancelled", "cancel 1"]);
});
