import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpTransport } from "../../static/js/uploads/transport.js";
import { FakeClock } from "./helpers/world.js";

const SESSION = {
  id: "s1",
  filename: "a.bin",
  size: 10,
  sha256: null,
  urls: {
    self: "/api/v1/uploads/s1",
    chunk: "/api/v1/uploads/s1/chunks/{index}",
    complete: "/api/v1/uploads/s1/complete",
    content: "/api/v1/uploads/s1/content",
  },
};
const CHUNK = { index: 2, start: 8, end: 10, size: 2 };

/** Resolves when what could be sent has been. */
const begun = () => new Promise(setImmediate);

/** An XMLHttpRequest that does nothing until it is told. */
class FakeXhr extends EventTarget {
  upload = new EventTarget();
  headers = {};
  status = 0;
  responseText = "";
  retryAfter = null;

  open(method, url) {
    Object.assign(this, { method, url });
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  getResponseHeader(name) {
    return name === "Retry-After" ? this.retryAfter : null;
  }

  send(body) {
    this.body = body;
  }

  abort() {
    this.#end("abort");
  }

  progress(loaded) {
    this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded }));
  }

  answer(status, body, retryAfter = null) {
    const responseText = typeof body === "string" ? body : JSON.stringify(body);
    Object.assign(this, { status, responseText, retryAfter });
    this.#end("load");
  }

  fail() {
    this.#end("error");
  }

  #end(type) {
    this.dispatchEvent(new Event(type));
    this.dispatchEvent(new Event("loadend"));
  }
}

/** A transport whose requests are kept, and answered by `answers` in order. */
function wired(...answers) {
  return wiredWith({}, ...answers);
}

function wiredWith(options, ...answers) {
  const requests = [];
  const xhrs = [];
  const clock = new FakeClock();
  const transport = new HttpTransport({
    clock,
    csrfToken: () => "token-now",
    fetch: async (url, init) => {
      requests.push({ url, ...init });
      const answer = answers.shift() ?? new Response("{}");
      return answer instanceof Response ? answer : answer(init);
    },
    createXhr: () => {
      xhrs.push(new FakeXhr());
      return xhrs.at(-1);
    },
    ...options,
  });
  return { transport, requests, xhrs, clock };
}

const problem = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });

test("each question goes to its address, with its method", async () => {
  const { transport, requests } = wired();
  await transport.handshake({ filename: "a.bin", size: 10, sha256: "ab" });
  await transport.status(SESSION);
  await transport.ask(SESSION);
  await transport.declareSize(SESSION, 10);
  await transport.complete(SESSION, "cd");
  await transport.cancel(SESSION);
  assert.deepEqual(
    requests.map(({ method, url, body }) => [method, url, body]),
    [
      ["POST", "/api/v1/uploads/handshake", '{"filename":"a.bin","size":10,"sha256":"ab"}'],
      ["GET", "/api/v1/uploads/s1", undefined],
      ["GET", "/api/v1/uploads/s1/handshake", undefined],
      ["POST", "/api/v1/uploads/s1/handshake", '{"size":10}'],
      ["POST", "/api/v1/uploads/s1/complete", '{"sha256":"cd"}'],
      ["DELETE", "/api/v1/uploads/s1", undefined],
    ],
  );
});

test("the CSRF token of the moment goes with what changes something, and only with that", async () => {
  const { transport, requests } = wired();
  await transport.handshake({ filename: "a.bin", size: 10 });
  await transport.status(SESSION);
  await transport.cancel(SESSION);
  assert.deepEqual(
    requests.map(({ headers }) => headers["X-CSRFToken"]),
    ["token-now", undefined, "token-now"],
  );
  assert.equal(requests[0].headers["Content-Type"], "application/json");
  for (const { cache, credentials } of requests) {
    assert.deepEqual([cache, credentials], ["no-store", "same-origin"]);
  }
});

test("a chunk is PUT as it is, with its digest, and its progress is told", async () => {
  const { transport, xhrs } = wired();
  const body = new Blob(["ee"]);
  const heard = [];
  const onProgress = (bytes) => heard.push(bytes);
  const outcome = transport.sendChunk(SESSION, CHUNK, body, { digest: "blake3=:q83v:", onProgress });
  await begun();
  const [xhr] = xhrs;
  assert.deepEqual([xhr.method, xhr.url], ["PUT", "/api/v1/uploads/s1/chunks/2"]);
  assert.equal(xhr.body, body);
  assert.equal(xhr.headers["Content-Digest"], "blake3=:q83v:");
  assert.equal(xhr.headers["Content-Type"], "application/octet-stream");
  assert.equal(xhr.headers["X-CSRFToken"], "token-now");
  xhr.progress(1);
  xhr.progress(2);
  const receipt = { index: 2, duplicate: false, state: "active" };
  xhr.answer(200, receipt);
  assert.deepEqual(await outcome, receipt);
  assert.deepEqual(heard, [1, 2]);
});

test("chunks leave connections free for pages and questions", async () => {
  const { transport, xhrs } = wired();
  const send = (signal) =>
    transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x", signal });
  const stop = new AbortController();
  const outcomes = [send(), send(), send(), send(), send(stop.signal), send()];
  await begun();
  assert.equal(xhrs.length, 4);
  stop.abort(new Error("paused"));
  await assert.rejects(outcomes[4], /paused/);
  xhrs[0].answer(200, {});
  await outcomes[0];
  await begun();
  assert.equal(xhrs.length, 5);
});

test("a refusal carries the problem, its code, its status, and speaks its detail", async () => {
  const body = { code: "chunks_missing", title: "Missing", detail: "2 chunks.", missing: [1, 2] };
  const { transport } = wired(problem(409, body));
  await assert.rejects(transport.complete(SESSION, "cd"), (error) => {
    assert.deepEqual([error.name, error.status, error.code], ["UploadError", 409, "chunks_missing"]);
    assert.equal(error.message, "2 chunks.");
    assert.deepEqual(error.problem, body);
    assert.deepEqual(error.values, body);
    assert.equal(error.retryAfter, null);
    return true;
  });
});

test("what passes is said in words for people, who need not send anything again", async () => {
  const said = async (status, body) => {
    const { transport } = wired(
      typeof body === "string" ? new Response(body, { status }) : problem(status, body),
    );
    return transport.status(SESSION).then(null, ({ message }) => message);
  };
  const detail = "Send the same request again in a few seconds.";
  assert.match(await said(507, { code: "storage_full", detail }), /^The server's disk is full\. Nothing was lost\.$/);
  assert.match(await said(503, { code: "storage_unavailable", detail }), /storage.*Nothing was lost/);
  assert.match(await said(503, { code: "unavailable", detail }), /busy.*Nothing was lost/);
  assert.match(await said(429, { code: "too_many_requests", detail }), /patience.*Nothing was lost/);
  assert.match(await said(503, "<h1>Maintenance</h1>"), /busy.*Nothing was lost/);
});

test("Retry-After reaches whoever waits, from fetch and from a chunk", async () => {
  const { transport, xhrs } = wired(problem(503, {}, { "Retry-After": "7" }));
  await assert.rejects(transport.status(SESSION), { status: 503, retryAfter: 7 });
  const outcome = transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x" });
  await begun();
  xhrs[0].answer(429, { code: "too_many_requests" }, "Thu, 01 Jan 2026 00:00:05 GMT");
  await assert.rejects(outcome, { status: 429, retryAfter: 5, code: "too_many_requests" });
});

test("401 and 403 ask to sign in again, whatever their body says", async () => {
  const { transport } = wired(
    problem(401, { code: "not_authenticated", detail: "no" }),
    new Response("<h1>CSRF</h1>", { status: 403 }),
  );
  for (const status of [401, 403]) {
    await assert.rejects(transport.status(SESSION), { status, code: "signed_out" });
  }
});

test("what is not our server's answer is told apart from an answer", async () => {
  const { transport, xhrs } = wired(new Response("<html>portal</html>"));
  await assert.rejects(transport.status(SESSION), {
    code: "unexpected_answer",
    status: 200,
    values: { status: 200 },
  });
  const outcome = transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x" });
  await begun();
  xhrs[0].answer(502, "<html>bad gateway</html>");
  await assert.rejects(outcome, { code: "unexpected_answer", status: 502 });
});

test("an unreachable server is a network error with its cause", async () => {
  const cause = new TypeError("fetch failed");
  const { transport, xhrs } = wired(() => Promise.reject(cause));
  const values = { reason: "unreachable" };
  await assert.rejects(transport.status(SESSION), { code: "network", status: 0, cause, values });
  const outcome = transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x" });
  await begun();
  xhrs[0].fail();
  await assert.rejects(outcome, { code: "network", status: 0 });
});

test("abort ends a chunk and a question at once, with the reason given", async () => {
  const hanging = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { transport, clock } = wired(hanging);
  const stop = new AbortController();
  const { signal } = stop;
  const outcomes = [
    transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x", signal }),
    transport.status(SESSION, { signal }),
  ];
  stop.abort(new Error("paused"));
  for (const outcome of outcomes) await assert.rejects(outcome, /paused/);
  await assert.rejects(transport.status(SESSION, { signal }), /paused/);
  assert.equal(clock.pending, 0);
});

test("silence counts as a lost connection; progress is no silence", async () => {
  const { transport, xhrs, clock } = wired();
  const outcome = transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x" });
  let lost = false;
  outcome.catch(() => (lost = true));
  await clock.advance(59_000);
  xhrs[0].progress(1);
  await clock.advance(59_000);
  assert.equal(lost, false);
  await clock.advance(1000);
  await assert.rejects(outcome, { code: "network", values: { reason: "silent" } });
  assert.equal(clock.pending, 0);
});

test("complete gives back the session, so that nobody has to ask again", async () => {
  const { transport } = wired(Response.json({ id: "s1", state: "completed" }));
  assert.equal((await transport.complete(SESSION, "cd")).state, "completed");
});

test("a session that is gone already counts as cancelled; a refusal does not", async () => {
  const { transport } = wired(
    new Response(null, { status: 204 }),
    problem(404, { code: "session_not_found" }),
    problem(410, { code: "session_cancelled" }),
    problem(409, { code: "wrong_state" }),
  );
  for (let time = 0; time < 3; time += 1) await transport.cancel(SESSION);
  await assert.rejects(transport.cancel(SESSION), { code: "wrong_state" });
});

test("headers of the page go with every request, chunks and questions, beside the module's own", async () => {
  const { transport, requests, xhrs } = wiredWith({ headers: { "X-Page": "7" } });
  await transport.handshake({ filename: "a.bin", size: 10, sha256: "ab" });
  await transport.status(SESSION);
  await transport.cancel(SESSION);
  transport.sendChunk(SESSION, CHUNK, new Blob(["ee"]), { digest: "x" });
  await begun();
  xhrs[0].answer(200, {});
  const all = [...requests, ...xhrs];
  assert.deepEqual(all.map(({ headers }) => headers["X-Page"]), ["7", "7", "7", "7"]);
  assert.deepEqual(
    all.map(({ headers }) => headers["X-CSRFToken"]),
    ["token-now", undefined, "token-now", "token-now"],
  );
});
