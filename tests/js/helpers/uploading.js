/** An upload of a few bytes in a fake world, ready to be prodded. */

import { Upload } from "../../../static/js/uploads/upload.js";
import { FakeHasher, FakeServer } from "./server.js";
import { fakeWorld } from "./world.js";

export const bytesOf = (text) => Buffer.from(text);

export function fileOf(text, { name = "a.bin", lastModified = 1000 } = {}) {
  return new File([text], name, { lastModified, type: "application/octet-stream" });
}

/** Five chunks of 4 bytes, the last of 2. */
export const CONTENT = "aaaabbbbccccddddee";

export function uploading({
  server = new FakeServer(),
  hasher = new FakeHasher(),
  file = fileOf(CONTENT),
  ...options
} = {}) {
  const world = fakeWorld();
  const upload = new Upload({ file, transport: server, hasher, ...world, ...options });
  const phases = [];
  upload.addEventListener("change", () => {
    const { phase } = upload.status;
    if (phases.at(-1) !== phase) phases.push(phase);
  });
  return { upload, server, hasher, phases, ...world };
}
