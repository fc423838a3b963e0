import assert from "node:assert/strict";
import { test } from "node:test";

import { ChunkPlan } from "../../static/js/uploads/plan.js";

test("the chunks cover the file exactly, without gap or overlap", () => {
  for (const [size, chunkSize] of [[1, 1], [10, 4], [12, 4], [3, 4], [15 * 2 ** 20, 5 * 2 ** 20]]) {
    const plan = new ChunkPlan(size, chunkSize);
    let end = 0;
    for (let index = 0; index < plan.total; index += 1) {
      const chunk = plan.chunk(index);
      assert.equal(chunk.start, end);
      assert.equal(chunk.size, chunk.end - chunk.start);
      assert.ok(chunk.size > 0 && chunk.size <= chunkSize);
      end = chunk.end;
    }
    assert.equal(end, size);
  }
});

test("only the last chunk is shorter", () => {
  const plan = new ChunkPlan(10, 4);
  assert.deepEqual([0, 1, 2].map((index) => plan.chunk(index).size), [4, 4, 2]);
});

test("a file of 0 bytes has no chunk", () => {
  assert.equal(new ChunkPlan(0, 4).total, 0);
  assert.equal(new ChunkPlan(0, 4).bytesOf([]), 0);
});

test("bytes beyond 32 bits are counted exactly", () => {
  const plan = new ChunkPlan(5 * 2 ** 30 + 1, 5 * 2 ** 20);
  assert.equal(plan.total, 1025);
  assert.deepEqual(plan.chunk(1024), {
    index: 1024,
    start: 5 * 2 ** 30,
    end: 5 * 2 ** 30 + 1,
    size: 1,
  });
  assert.equal(plan.bytesOf([0, 1024]), 5 * 2 ** 20 + 1);
});

test("indices outside the grid and senseless sizes are refused", () => {
  const plan = new ChunkPlan(10, 4);
  for (const index of [-1, 3, 0.5, NaN]) assert.throws(() => plan.chunk(index), RangeError);
  assert.throws(() => new ChunkPlan(10, 0), RangeError);
  assert.throws(() => new ChunkPlan(-1, 4), RangeError);
});
