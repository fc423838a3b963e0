import assert from "node:assert/strict";
import { test } from "node:test";

import { match } from "../../static/js/uploads/matching.js";

const chosen = (name, size, folder = "") => ({ file: { name, size, lastModified: 0 }, folder });

function session(id, filename, size, folder = "") {
  return { id, filename, folder, size, sha256: null, urls: { self: `/u/${id}` } };
}

/** One whose size nobody has declared, and of which so many bytes have come. */
function stream(id, filename, offset, folder = "") {
  return { ...session(id, filename, null, folder), offset };
}

/** Which session each file got, or why none, in the order of the files. */
function outcome(files, sessions) {
  const { pairs, unmatched } = match(files, sessions);
  assert.equal(pairs.length + unmatched.length, files.length);
  return files.map(({ file }) => {
    const pair = pairs.find((each) => each.file === file);
    if (pair) return pair.session.id;
    const { reason, session: other } = unmatched.find((each) => each.file === file);
    return other ? `${reason} ${other.id}` : reason;
  });
}

test("several files find their sessions by name and size, in any order", () => {
  const sessions = [session("s1", "a", 1), session("s2", "b", 2), session("s3", "c", 3)];
  const files = [chosen("c", 3), chosen("a", 1), chosen("b", 2)];
  assert.deepEqual(outcome(files, sessions), ["s3", "s1", "s2"]);
});

test("the same name in two folders: each file finds the session of its own folder", () => {
  const sessions = [session("s1", "a", 1, "one"), session("s2", "a", 1, "two")];
  assert.deepEqual(outcome([chosen("a", 1, "two"), chosen("a", 1, "one")], sessions), ["s2", "s1"]);
});

test("a file chosen without its folder finds its session by name", () => {
  assert.deepEqual(outcome([chosen("a", 1)], [session("s1", "a", 1, "one")]), ["s1"]);
});

test("a better match is not taken away by a worse one that comes first", () => {
  const sessions = [session("s1", "a", 1, "one")];
  const files = [chosen("z", 1), chosen("a", 1, "two"), chosen("a", 1, "one")];
  assert.deepEqual(outcome(files, sessions), ["no_such_upload", "no_such_upload", "s1"]);
});

test("a renamed file finds the only session of its size", () => {
  const sessions = [session("s1", "a", 1), session("s2", "b", 2)];
  assert.deepEqual(outcome([chosen("new name", 2)], sessions), ["s2"]);
  assert.deepEqual(outcome([chosen("a", 1), chosen("new name", 2)], sessions), ["s1", "s2"]);
});

test("by size alone nothing is guessed among several files or several sessions", () => {
  const [one, other] = [session("s1", "a", 1), session("s2", "b", 1)];
  assert.deepEqual(outcome([chosen("x", 1)], [one, other]), ["no_such_upload"]);
  const none = ["no_such_upload", "no_such_upload"];
  assert.deepEqual(outcome([chosen("x", 1), chosen("y", 1)], [one]), none);
  assert.deepEqual(outcome([chosen("x", 1), chosen("a", 1)], [one, other]), ["s2", "s1"]);
});

test("same name but other size says which session, of the same folder if there is one", () => {
  const sessions = [session("s1", "a", 1, "one"), session("s2", "a", 1, "two")];
  assert.deepEqual(outcome([chosen("a", 9, "two")], sessions), ["same_name_other_size s2"]);
  assert.deepEqual(outcome([chosen("a", 9)], sessions), ["same_name_other_size s1"]);
});

test("a file finds the stream of its name, if it is not shorter than what has come", () => {
  const streams = [stream("s1", "a", 5, "one"), stream("s2", "a", 5, "two"), stream("s3", "b", 5)];
  assert.deepEqual(outcome([chosen("a", 7, "two"), chosen("b", 5)], streams), ["s2", "s3"]);
  assert.deepEqual(outcome([chosen("a", 7)], streams), ["s1"]);
  assert.deepEqual(outcome([chosen("b", 4)], streams), ["same_name_other_size s3"]);
});

test("a declared size tells more than a name does, and a name more than being the only one", () => {
  const sessions = [stream("s1", "a", 1), session("s2", "a", 7), session("s3", "c", 9)];
  assert.deepEqual(outcome([chosen("a", 7), chosen("a", 9)], sessions), ["s2", "s1"]);
  assert.deepEqual(outcome([chosen("new name", 9)], sessions), ["s3"]);
});

test("a renamed file is not taken for a stream, though it is the only one", () => {
  assert.deepEqual(outcome([chosen("new name", 9)], [stream("s1", "a", 1)]), ["no_such_upload"]);
});

test("one session takes one file, and the same file chosen twice goes nowhere the second time", () => {
  const sessions = [session("s1", "a", 1)];
  assert.deepEqual(outcome([chosen("a", 1), chosen("a", 1)], sessions), ["s1", "no_such_upload"]);
});

test("a name is the same however its accents are encoded, and a missing folder is none", () => {
  const { folder, ...bare } = session("s1", "\u00e9t\u00e9", 1);
  assert.equal(folder, "");
  assert.deepEqual(outcome([chosen("e\u0301te\u0301", 1)], [bare]), ["s1"]);
});

test("a name that looks like a path or a size does not match another", () => {
  const sessions = [session("s1", "b", 1, "a"), session("s2", "2 c", 1)];
  assert.deepEqual(outcome([chosen("c", 12), chosen("b", 9, "")], sessions), [
    "no_such_upload",
    "same_name_other_size s1",
  ]);
});

test("whatever else a chosen file carries comes back with it", () => {
  const mine = { ...chosen("a", 1), mark: 7 };
  assert.equal(match([mine], [session("s1", "a", 1)]).pairs[0].mark, 7);
});

test("thousands of files of one name and size are matched without asking each for all others", () => {
  let asked = 0;
  const count = 5000;
  const files = Array.from({ length: count }, () => {
    const file = {
      name: "a",
      get size() {
        asked += 1;
        return 1;
      },
    };
    return { file, folder: "" };
  });
  const sessions = Array.from({ length: count }, (_, index) => session(`s${index}`, "a", 1));
  const { pairs } = match(files, sessions);
  assert.deepEqual(pairs.map(({ session: { id } }) => id), sessions.map(({ id }) => id));
  assert.equal(asked, count);
});
