/** What a field in a form takes, and what its parts are described by. */

import assert from "node:assert/strict";
import { test } from "node:test";

// The words ask the page for its language.
globalThis.document ??= { documentElement: { lang: "en" } };
const { folderRefusal, refusalOf } = await import("../../static/js/uploads/field/limits.js");
const { describe, Voice } = await import("../../static/js/uploads/field/voice.js");

const file = (name, size = 10, type = "") => ({ name, size, type });

test("without limits everything is taken", () => {
  assert.equal(refusalOf(file("a"), {}), "");
  assert.equal(refusalOf(file("a"), { maxSize: "", extensions: "", types: "" }), "");
});

test("an ending is compared whole and in any case", () => {
  const limits = { extensions: "txt,tar.gz" };
  for (const name of ["a.txt", "A.TXT", "b.tar.gz"]) assert.equal(refusalOf(file(name), limits), "");
  for (const name of ["a", "txt", "atxt", "b.gz", "a.txt.exe"]) {
    assert.match(refusalOf(file(name), limits), /not one of the files taken here: \.txt, \.tar\.gz\./);
  }
});

test("a size at the limit is taken, a byte more is not", () => {
  assert.equal(refusalOf(file("a", 1024), { maxSize: "1024" }), "");
  assert.equal(
    refusalOf(file("a", 1025), { maxSize: "1024" }),
    "“a” is larger than 1.0\u00a0KB. Choose a smaller file.",
  );
});

test("types are media types or families; what the browser does not know is the unknown type", () => {
  const limits = { types: "image/*,text/plain" };
  for (const type of ["image/png", "IMAGE/PNG", "text/plain", "text/plain; charset=utf-8"]) {
    assert.equal(refusalOf(file("a", 1, type), limits), "");
  }
  for (const type of ["", "text/html", "imagery/png"]) assert.notEqual(refusalOf(file("a", 1, type), limits), "");
  assert.equal(refusalOf(file("a"), { types: "application/octet-stream" }), "");
});

test("the name of a file is put into the sentence as it is", () => {
  assert.match(folderRefusal("%(name)s & <b>"), /^“%\(name\)s & <b>” is a folder/);
});

test("what is said at one time is said together, and the same again is said again", async () => {
  const said = [];
  const place = { set textContent(text) { said.push(text); } };
  const voice = new Voice(() => place);
  voice.say("");
  voice.say("one");
  voice.say("two");
  await null;
  voice.say("one");
  await null;
  assert.deepEqual(said, ["", "one; two", "", "one"]);
});

test("a description is added beside others once, and taken away alone", () => {
  const attributes = new Map([["aria-describedby", "help"]]);
  const element = {
    getAttribute: (name) => attributes.get(name) ?? null,
    setAttribute: (name, value) => attributes.set(name, value),
    removeAttribute: (name) => attributes.delete(name),
  };
  describe(element, "why", true);
  describe(element, "why", true);
  assert.equal(attributes.get("aria-describedby"), "help why");
  describe(element, "why", false);
  assert.equal(attributes.get("aria-describedby"), "help");
  describe(element, "help", false);
  assert.equal(attributes.size, 0);
});
