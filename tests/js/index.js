/**
 * Every test of this folder. `node --test` takes files, not folders; with this file it takes
 * the folder too, and runs all of them in one process.
 */

import { readdir } from "node:fs/promises";

const names = await readdir(import.meta.dirname);
for (const name of names.filter((each) => each.endsWith(".test.js")).sort()) {
  await import(`./${name}`);
}
