/**
 * A browser's worker, played by a thread of node: gives hash-worker.js the `self` that it
 * expects and runs the very file that browsers get.
 */

import { openAsBlob } from "node:fs";
import { appendFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";

const scope = new EventTarget();
parentPort.on("message", async (data) => {
  // Node sends no blobs of files between threads, so such a file is chosen over here.
  if (typeof data.blob === "string") data.blob = await chosenAndThenChanged(data.blob);
  scope.dispatchEvent(new MessageEvent("message", { data }));
});
globalThis.self = {
  addEventListener: (type, listener) => scope.addEventListener(type, listener),
  postMessage: (message, { transfer }) => parentPort.postMessage(message, transfer),
  // Of a page on plain HTTP it has less.
  crypto: workerData.plain ? {} : globalThis.crypto,
};
await import("../../../static/js/uploads/hash-worker.js");

async function chosenAndThenChanged(path) {
  const blob = await openAsBlob(path);
  await appendFile(path, " and after");
  return blob;
}
