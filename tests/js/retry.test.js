import assert from "node:assert/strict";
import { test } from "node:test";

import { UploadError } from "../../static/js/uploads/errors.js";
import { Backoff, isTransient, parseRetryAfter, persist } from "../../static/js/uploads/retry.js";
import { networkError, refusal } from "./helpers/server.js";
import { fakeWorld, settle } from "./helpers/world.js";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const ALMOST_ONE = () => 0.999999;

test("transient failures are told from final ones", () => {
  for (const status of [408, 422, 425, 429, 500, 502, 503, 504, 507]) {
    assert.ok(isTransient(refusal(status)), `${status} passes`);
  }
  for (const status of [400, 401, 403, 404, 409, 410, 411, 413, 415, 501]) {
    assert.ok(!isTransient(refusal(status)), `${status} does not pass`);
  }
  assert.ok(isTransient(networkError()));
  assert.ok(!isTransient(new TypeError("a defect")));
});

test("a page of a captive portal, answered with 200, is transient", () => {
  const strange = (status) => new UploadError("?", { code: "unexpected_answer", status });
  assert.ok(isTransient(strange(200)));
  assert.ok(!isTransient(strange(400)));
});

test("Retry-After is read as seconds and as a date, and nonsense is ignored", () => {
  assert.equal(parseRetryAfter("120", NOW), 120);
  assert.equal(parseRetryAfter(" 0 ", NOW), 0);
  assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:01:30 GMT", NOW), 90);
  assert.equal(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", NOW), 0);
  assert.equal(parseRetryAfter("999999999", NOW), 3600);
  for (const nothing of [null, "", "soon"]) assert.equal(parseRetryAfter(nothing, NOW), null);
});

test("delays grow, keep under their cap, and are jittered down to nothing", () => {
  const delays = (random) => {
    const backoff = new Backoff({ random });
    return Array.from({ length: 9 }, () => backoff.after(networkError()));
  };
  const bounds = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];
  assert.deepEqual(delays(ALMOST_ONE).map(Math.round), bounds);
  assert.deepEqual(delays(() => 0.5), bounds.map((bound) => bound / 2));
  assert.deepEqual(new Set(delays(() => 0)), new Set([0]));
});

const full = (retryAfter = 60) => refusal(507, "storage_full", { retryAfter });

test("the server's Retry-After is a minimum, whatever the growth says", () => {
  for (const status of [503, 507, 429, 500]) {
    const backoff = new Backoff({ random: () => 0.5 });
    assert.equal(backoff.after(refusal(status, "?", { retryAfter: 4 })), 4250);
  }
  const backoff = new Backoff({ random: () => 0 });
  const waits = Array.from({ length: 9 }, () => backoff.after(full(600)));
  assert.deepEqual(new Set(waits), new Set([600_000]));
});

test("a busy server is asked ever more calmly, and never given up", () => {
  const backoff = new Backoff({ random: () => 0, tries: 3 });
  const waits = Array.from({ length: 500 }, () => backoff.after(full()));
  assert.deepEqual(waits.slice(0, 5), [60_000, 90_000, 135_000, 180_000, 180_000]);
  assert.equal(waits.at(-1), 180_000);
});

test("a server that asks to come back at once is not asked all the time", () => {
  const backoff = new Backoff({ random: () => 0 });
  const waits = Array.from({ length: 20 }, () => backoff.after(full(0)));
  assert.ok(waits[0] >= 500 && waits.at(-1) === 180_000, String(waits));
});

test("clients of a busy server do not return in step", () => {
  assert.equal(new Backoff({ random: () => 0.5 }).after(full()), 63_000);
});

test("progress makes the waits short again", () => {
  let arrivals = 0;
  const backoff = new Backoff({ random: () => 0, progress: () => arrivals });
  assert.deepEqual([backoff.after(full()), backoff.after(full())], [60_000, 90_000]);
  arrivals += 1;
  assert.equal(backoff.after(full()), 60_000);
});

test("only a refusal that names a time is waited for without bound", () => {
  const failures = [networkError(), refusal(503), refusal(507), refusal(422, "?", { retryAfter: 1 })];
  for (const failure of failures) {
    const backoff = new Backoff({ random: () => 0, tries: 3 });
    const waits = Array.from({ length: 3 }, () => backoff.after(failure));
    assert.equal(waits.at(-1), null, `${failure.status}`);
  }
});

test("a busy server's answer gives back the tries that the network used up", () => {
  const backoff = new Backoff({ random: () => 0, tries: 3 });
  for (let round = 0; round < 20; round += 1) {
    assert.notEqual(backoff.after(networkError()), null);
    assert.notEqual(backoff.after(networkError()), null);
    assert.notEqual(backoff.after(full()), null);
  }
});

test("who has no patience gives a busy server up as any other", () => {
  const backoff = new Backoff({ random: () => 0, tries: 2, patient: false });
  assert.deepEqual([backoff.after(full()), backoff.after(full())], [60_000, null]);
});

test("it gives up without progress, and progress resets the count", () => {
  let arrivals = 0;
  const backoff = new Backoff({ random: () => 0, progress: () => arrivals, tries: 3 });
  const fail = () => backoff.after(networkError());
  assert.deepEqual([fail(), fail()], [0, 0]);
  arrivals += 1;
  assert.deepEqual([fail(), fail(), fail()], [0, 0, null]);
});

/** Runs `attempt` under `persist` in a fake world. */
function persisting(attempt, { tries = 3, online = true } = {}) {
  const seams = fakeWorld();
  seams.connectivity.online = online;
  const stop = new AbortController();
  const waits = [];
  const backoff = new Backoff({ random: seams.random, tries });
  const outcome = persist(attempt, {
    backoff,
    seams,
    signal: stop.signal,
    onWait: (wait) => waits.push(wait),
    onGo: () => waits.pop(),
  });
  outcome.catch(() => {});
  return { outcome, seams, stop, waits };
}

test("a final failure is not tried again", async () => {
  let calls = 0;
  const { outcome } = persisting(async () => {
    calls += 1;
    throw refusal(413, "too_large");
  });
  await assert.rejects(outcome, { code: "too_large" });
  assert.equal(calls, 1);
});

test("the last failure is what the person hears when tries run out", async () => {
  const { outcome, seams } = persisting(async () => Promise.reject(refusal(507, "storage_full")));
  await seams.clock.advance(60_000);
  await assert.rejects(outcome, { code: "storage_full" });
});

test("abort ends a wait at once and leaves no timer behind", async () => {
  const { outcome, seams, stop } = persisting(async () => Promise.reject(networkError()));
  await settle();
  assert.equal(seams.clock.pending, 1);
  stop.abort(new Error("paused"));
  await assert.rejects(outcome, /paused/);
  assert.equal(seams.clock.pending, 0);
});

test("offline costs no tries, and going online ends the wait", async () => {
  let [calls, reachable] = [0, false];
  const attempt = async () => {
    calls += 1;
    if (!reachable) throw networkError();
    return "there";
  };
  const { outcome, seams, waits } = persisting(attempt, { tries: 2, online: false });
  await settle();
  assert.equal(waits.at(-1).until, null);
  await seams.clock.advance(120_000);
  assert.ok(calls > 2, "asked again now and then: offline may be a wrong report");
  reachable = true;
  seams.connectivity.goOnline();
  assert.equal(await outcome, "there");
});

test("an attempt under way is dropped when the network goes", async () => {
  let aborted = 0;
  const { seams, waits } = persisting(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted += 1;
          reject(signal.reason);
        });
      }),
  );
  seams.connectivity.goOffline();
  await settle();
  assert.equal(aborted, 1);
  assert.equal(waits.length, 1);
  assert.deepEqual(waits[0].error.values, { reason: "offline" });
});

test("a wait that is ended makes the next attempt at once, and leaves no timer behind", async () => {
  let calls = 0;
  const { outcome, seams, waits } = persisting(async () => {
    calls += 1;
    if (calls === 1) throw full(3600);
    return "there";
  });
  await settle();
  waits.at(-1).end();
  assert.equal(await outcome, "there");
  assert.equal(seams.clock.pending, 0);
});

test("coming online ends a wait for the network, but not one the server asked for", async () => {
  const calls = { network: 0, asked: 0 };
  const network = persisting(async () => {
    calls.network += 1;
    throw networkError();
  });
  const asked = persisting(async () => {
    calls.asked += 1;
    throw refusal(503, "unavailable", { retryAfter: 60 });
  });
  await settle();
  network.seams.connectivity.goOnline();
  asked.seams.connectivity.goOnline();
  await settle();
  assert.deepEqual(calls, { network: 2, asked: 1 });
});
