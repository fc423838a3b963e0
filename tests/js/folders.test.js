import assert from "node:assert/strict";
import { test } from "node:test";

import { fromClipboard, fromDataTransfer, fromInput } from "../../static/js/uploads/folders.js";
import { settle } from "./helpers/world.js";

const fileEntry = (name) => ({
  name,
  isDirectory: false,
  file: (resolve) => resolve(new File([name], name)),
});

const unreadableEntry = (name) => ({
  ...fileEntry(name),
  file: (_, reject) => reject(new DOMException("gone", "NotFoundError")),
});

/** Answers its entries in parts of two, as browsers do in parts of a hundred. */
function folderEntry(name, entries, { fails = false } = {}) {
  const createReader = () => {
    const left = [...entries];
    return {
      readEntries: (resolve, reject) => {
        if (left.length === 0 && fails) reject(new DOMException("no", "NotReadableError"));
        else resolve(left.splice(0, 2));
      },
    };
  };
  return { name, isDirectory: true, createReader };
}

/** A DataTransfer that is emptied when its event is over. */
function transfer(entries, files = []) {
  const itemOf = (entry, file) => ({
    kind: "file",
    webkitGetAsEntry: () => (transferred.over ? null : entry),
    getAsFile: () => (transferred.over ? null : file),
  });
  const transferred = {
    over: false,
    items: [
      { kind: "string" },
      ...entries.map((entry) => itemOf(entry, new File([entry.name], entry.name))),
      ...files.map((file) => itemOf(null, file)),
    ],
  };
  return transferred;
}

async function dropped(...entries) {
  const data = transfer(entries);
  const outcome = fromDataTransfer(data);
  data.over = true;
  const { files, unreadable, empty } = await outcome;
  return { paths: files.map(({ file, folder }) => `${folder}:${file.name}`), unreadable, empty };
}

/** @param {string} path */
function chosenIn(path) {
  const file = new File(["a"], path.split("/").at(-1) ?? "");
  Object.defineProperty(file, "webkitRelativePath", { value: path });
  return file;
}

test("a chosen folder's files know where they lay, in order of folder and name", () => {
  const paths = ["p/2026/10.jpg", "p/2026/9.jpg", "p/2025/z.jpg", "p/readme"];
  const { files, unreadable, empty } = fromInput(paths.map(chosenIn));
  assert.deepEqual(
    files.map(({ file, folder }) => `${folder}:${file.name}`),
    ["p:readme", "p/2025:z.jpg", "p/2026:9.jpg", "p/2026:10.jpg"],
  );
  assert.deepEqual([unreadable, empty], [[], 0]);
});

test("files chosen on their own have no folder and keep their order", () => {
  const { files } = fromInput([new File(["b"], "b.jpg"), new File(["a"], "a.jpg")]);
  assert.deepEqual(
    files.map(({ file, folder }) => `${folder}:${file.name}`),
    [":b.jpg", ":a.jpg"],
  );
});

test("dropped folders are walked to the last part of every list, in order of name", async () => {
  const names = ["10.jpg", "9.jpg", "b.jpg", "a.jpg", "c.jpg"];
  const outcome = await dropped(
    folderEntry("photos", [
      folderEntry("2026", names.map(fileEntry)),
      fileEntry("readme"),
      folderEntry("2025", [fileEntry("old.jpg")]),
    ]),
    fileEntry("alone.txt"),
  );
  assert.deepEqual(outcome.paths, [
    "photos/2025:old.jpg",
    "photos/2026:9.jpg",
    "photos/2026:10.jpg",
    "photos/2026:a.jpg",
    "photos/2026:b.jpg",
    "photos/2026:c.jpg",
    "photos:readme",
    ":alone.txt",
  ]);
});

test("what cannot be read is named, and the rest comes all the same", async () => {
  const outcome = await dropped(
    folderEntry("a", [
      fileEntry("fine"),
      unreadableEntry("gone"),
      folderEntry("locked", [], { fails: true }),
      folderEntry("half", [fileEntry("1"), fileEntry("2")], { fails: true }),
    ]),
  );
  assert.deepEqual(outcome.paths, ["a:fine", "a/half:1", "a/half:2"]);
  assert.deepEqual(outcome.unreadable, ["a/gone", "a/half", "a/locked"]);
  assert.equal(outcome.empty, 0);
});

test("empty folders are counted", async () => {
  const outcome = await dropped(folderEntry("a", [folderEntry("b", []), folderEntry("c", [])]));
  assert.deepEqual(outcome, { paths: [], unreadable: [], empty: 2 });
});

test("files made by a script, which have no entry, are taken as they are", async () => {
  const { files } = await fromDataTransfer(transfer([], [new File(["x"], "x.txt")]));
  assert.deepEqual(files.map(({ file, folder }) => [file.name, folder]), [["x.txt", ""]]);
});

test("a large folder is read a few files at a time", async () => {
  const waiting = [];
  let most = 0;
  const slow = (name) => ({
    name,
    isDirectory: false,
    file: (resolve) => {
      waiting.push(() => resolve(new File([name], name)));
      most = Math.max(most, waiting.length);
    },
  });
  const entries = Array.from({ length: 40 }, (_, index) => slow(String(index)));
  const outcome = dropped(folderEntry("a", entries));
  for (await settle(); waiting.length > 0; await settle()) {
    for (const answer of waiting.splice(0)) answer();
  }
  assert.equal((await outcome).paths.length, 40);
  assert.ok(most > 1 && most <= 8, `${most} at once`);
});

const NOW = new Date(2026, 10, 21, 10, 32, 5);

async function pasted(...names) {
  const images = names.map((name) => new File(["png"], name, { type: "image/png", lastModified: 7 }));
  return (await fromClipboard(transfer([], images), NOW)).files.map(({ file }) => file);
}

test("a pasted image is named after the moment, and is otherwise what it was", async () => {
  const [image] = await pasted("image.png");
  assert.equal(image.name, "Pasted 2026-11-21 10.32.05.png");
  assert.deepEqual([image.type, image.lastModified, await image.text()], ["image/png", 7, "png"]);
});

test("two images pasted at one moment keep apart, and copied files keep their names", async () => {
  const names = (await pasted("image.png", "image.jpeg", "my image.png")).map(({ name }) => name);
  assert.deepEqual(names, [
    "Pasted 2026-11-21 10.32.05.png",
    "Pasted 2026-11-21 10.32.05 (2).jpeg",
    "my image.png",
  ]);
});

test("files copied in a file manager keep their folders when pasted", async () => {
  const data = transfer([folderEntry("shots", [fileEntry("image.png")])]);
  const { files } = await fromClipboard(data, NOW);
  assert.deepEqual(files.map(({ file, folder }) => [folder, file.name]), [["shots", "image.png"]]);
});
