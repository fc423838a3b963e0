import assert from "node:assert/strict";
import { test } from "node:test";

import { Passage } from "../../static/js/uploads/passage.js";
import { ChunkPlan } from "../../static/js/uploads/plan.js";
import { settle } from "./helpers/world.js";

const MIB = 2 ** 20;
const plan = new ChunkPlan(1000 * MIB, MIB);

const chunkOf = (index) => ({ index, bytes: new Uint8Array(MIB), digest: `of ${index}` });

/** A file of 1000 chunks whose hashing is in the hands of the test. */
function passage(wanted = [...Array(1000).keys()]) {
  const end = Promise.withResolvers();
  const told = { more: 0 };
  let heard;
  const hasher = {
    pass: (_, options) => {
      heard = options;
      return { hash: end.promise, more: () => (told.more += 1) };
    },
  };
  const made = new Passage(new Blob(), hasher, { chunkSize: MIB, wanted: () => wanted });
  const begin = () => {
    heard.onProgress(0);
    heard.wanted();
  };
  return { passage: made, begin, heard: () => heard, told, end };
}

test("a chunk that came is taken once, and makes room for another", async () => {
  const { passage: all, begin, heard, told } = passage();
  begin();
  heard().onChunk(chunkOf(0));
  assert.equal((await all.take(plan.chunk(0))).digest, "of 0");
  assert.equal(told.more, 1);
  assert.equal(await all.take(plan.chunk(0)), null);
});

test("a chunk that will soon come by is waited for; one that had no room is not", async () => {
  const { passage: all, begin, heard } = passage();
  begin();
  const taken = [all.take(plan.chunk(0)), all.take(plan.chunk(1))];
  await settle();
  heard().onPassed(1);
  assert.equal(await taken[1], null);
  heard().onChunk(chunkOf(0));
  assert.equal((await taken[0]).digest, "of 0");
});

test("nobody waits for a file whose hashing has not begun, nor for what is far ahead of it", async () => {
  const { passage: all, begin, heard } = passage();
  assert.equal(await all.take(plan.chunk(0)), null);
  begin();
  assert.equal(await all.take(plan.chunk(65)), null);
  heard().onProgress(MIB);
  const near = all.take(plan.chunk(65));
  heard().onChunk(chunkOf(65));
  assert.equal((await near).digest, "of 65");
});

test("what was sent otherwise meanwhile takes no room when it comes by", async () => {
  const { passage: all, begin, heard, told } = passage();
  begin();
  heard().onChunk(chunkOf(0));
  all.forget(0);
  all.forget(1);
  heard().onChunk(chunkOf(1));
  assert.equal(told.more, 2);
  assert.equal(await all.take(plan.chunk(1)), null);
});

test("chunks of another grid are not mistaken for these", async () => {
  const { passage: all, begin, heard } = passage();
  begin();
  heard().onChunk(chunkOf(0));
  const other = new ChunkPlan(1000 * MIB, 2 * MIB);
  assert.equal(await all.take(other.chunk(0)), null);
  assert.equal(await all.take(other.chunk(1)), null);
});

test("when the hashing ends, or breaks off, nobody is left waiting", async () => {
  for (const outcome of ["resolve", "reject"]) {
    const { passage: all, begin, heard, end } = passage();
    begin();
    heard().onChunk(chunkOf(0));
    const waiting = all.take(plan.chunk(1));
    end[outcome](new Error("over"));
    await all.hash.catch(() => {});
    assert.equal(await waiting, null);
    assert.equal((await all.take(plan.chunk(0))).digest, "of 0");
  }
});
