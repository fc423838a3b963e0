import assert from "node:assert/strict";
import { test } from "node:test";

import { WorkerQueue } from "../../static/js/uploads/queue.js";
import { settle } from "./helpers/world.js";

/** Jobs that end when told, and an account of them. */
function bench() {
  const running = new Map();
  const begun = [];
  const job = (name) => (signal) =>
    new Promise((resolve, reject) => {
      begun.push(name);
      running.set(name, resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  return { running, begun, job };
}

test("three run at once by default: neither one by one nor all together", async () => {
  const { begun, job, running } = bench();
  const queue = new WorkerQueue();
  for (const name of "abcde") queue.add(job(name));
  await settle();
  assert.deepEqual(begun, ["a", "b", "c"]);
  assert.deepEqual([queue.running, queue.waiting], [3, 2]);
  running.get("b")();
  await settle();
  assert.deepEqual(begun, ["a", "b", "c", "d"]);
});

test("a job's result and its failure reach whoever added it, and free the place", async () => {
  const queue = new WorkerQueue({ limit: 1 });
  const failed = queue.add(async () => Promise.reject(new Error("no")));
  const thrown = queue.add(() => {
    throw new Error("at once");
  });
  const fine = queue.add(async () => 7);
  await assert.rejects(failed, /no/);
  await assert.rejects(thrown, /at once/);
  assert.equal(await fine, 7);
  await settle();
  assert.equal(queue.running, 0);
});

test("raising the limit lets waiting jobs begin, lowering it stops none", async () => {
  const { begun, job, running } = bench();
  const queue = new WorkerQueue({ limit: 1 });
  for (const name of "abcd") queue.add(job(name));
  queue.limit = 3;
  await settle();
  assert.deepEqual(begun, ["a", "b", "c"]);
  queue.limit = 1;
  running.get("a")();
  await settle();
  assert.deepEqual(begun, ["a", "b", "c"]);
  assert.equal(queue.running, 2);
  assert.throws(() => (queue.limit = 0), RangeError);
});

test("a paused queue begins nothing, lets running jobs end, and starts again", async () => {
  const { begun, job, running } = bench();
  const queue = new WorkerQueue({ limit: 1 });
  queue.add(job("a"));
  queue.add(job("b"));
  queue.pause();
  await settle();
  running.get("a")();
  await settle();
  assert.deepEqual(begun, ["a"]);
  assert.ok(queue.paused);
  queue.start();
  await settle();
  assert.deepEqual(begun, ["a", "b"]);
});

test("clear aborts what runs, drops what waits, and leaves the queue usable", async () => {
  const { begun, job } = bench();
  const queue = new WorkerQueue({ limit: 1 });
  const outcomes = Promise.allSettled([queue.add(job("a")), queue.add(job("b"))]);
  await settle();
  const reason = new Error("enough");
  queue.clear(reason);
  assert.deepEqual((await outcomes).map((outcome) => outcome.reason), [reason, reason]);
  assert.deepEqual(begun, ["a"]);
  assert.equal(await queue.add(async () => "again"), "again");
});

test("a job's own signal takes it out of the queue, or aborts it when it runs", async () => {
  const { begun, job } = bench();
  const queue = new WorkerQueue({ limit: 1 });
  const [first, second] = [new AbortController(), new AbortController()];
  const running = queue.add(job("a"), { signal: first.signal });
  const waiting = queue.add(job("b"), { signal: second.signal });
  await settle();
  second.abort(new Error("not now"));
  await assert.rejects(waiting, /not now/);
  first.abort(new Error("stop"));
  await assert.rejects(running, /stop/);
  await assert.rejects(queue.add(job("c"), { signal: first.signal }), /stop/);
  assert.deepEqual(begun, ["a"]);
});
