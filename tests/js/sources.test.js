/** What the strict CSP and Django's hashed static files demand of the sources. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

const STATIC = join(import.meta.dirname, "../../static");
const MODULES = join(STATIC, "js/uploads");

const EXAMPLES = join(import.meta.dirname, "../../examples");

async function modulesIn(folder) {
  const all = await readdir(folder, { recursive: true });
  const names = all.filter((name) => name.endsWith(".js"));
  return Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "utf8")]));
}

const sources = (await Promise.all([MODULES, EXAMPLES].map(modulesIn))).flat();

test("every import is one that Django's static files can rewrite", () => {
  for (const [name, text] of sources) {
    assert.doesNotMatch(text, /\bimport\s*\(/, `${name}: dynamic import`);
    assert.doesNotMatch(text, /import\.meta/, `${name}: import.meta.url is not hashed`);
    assert.doesNotMatch(text, /^(import|export)\b.*from\s+["'][^"']*["']\s*$/m, `${name}: no semicolon`);
    for (const [, target] of text.matchAll(/^import\s.*?["']([^"']+)["'];$/gms)) {
      assert.match(target, /^\.\.?\/.*\.js$/, `${name}: ${target}`);
    }
  }
});

test("nothing needs what the content security policy forbids", () => {
  for (const [name, text] of sources) {
    assert.doesNotMatch(text, /\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML/, name);
  }
});

test("every code of an error made here is among those that pages make sentences for", async () => {
  const types = await readFile(join(MODULES, "types.d.ts"), "utf8");
  const [list] = types.match(/Why an upload failed;.*?\*\//s);
  const documented = new Set([...list.matchAll(/^ \* - `(\w+)`/gm)].map(([, code]) => code));
  const made = sources.flatMap(([, text]) => [...text.matchAll(/\bcode: "(\w+)"/g)]);
  assert.deepEqual(new Set(made.map(([, code]) => code)), documented);
});

test("the vendored files name no source map that is not there", async () => {
  const hashes = ["blake3", "md5", "sha256"].map((name) => `hash-wasm-4.13.0/${name}.umd.min.js`);
  for (const path of [...hashes, "htmx-4.0.1/htmx.min.js"]) {
    assert.doesNotMatch(await readFile(join(STATIC, "vendor", path), "utf8"), /sourceMappingURL/);
  }
});

test("the vendored files are those their notes name", async () => {
  const { createHash } = await import("node:crypto");
  for (const folder of ["hash-wasm-4.13.0", "htmx-4.0.1"]) {
    const note = await readFile(join(STATIC, "vendor", folder, "README.md"), "utf8");
    const noted = [...note.matchAll(/([0-9a-f]{64}) {2}(\S+)/g)];
    const present = (await readdir(join(STATIC, "vendor", folder))).filter((name) => name.endsWith(".js"));
    assert.deepEqual(noted.map(([, , name]) => name).sort(), present.sort());
    for (const [, expected, name] of noted) {
      const bytes = await readFile(join(STATIC, "vendor", folder, name));
      assert.equal(createHash("sha256").update(bytes).digest("hex"), expected);
    }
  }
});
