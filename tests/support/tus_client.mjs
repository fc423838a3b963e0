/**
 * One upload by tus-js-client in Node, told on standard output: a JSON object a line.
 *
 * Its argument is a JSON object: `endpoint`, `token`, `path`, and options of tus-js-client. `storage`
 * names the file in which addresses are kept; with `resume`, one that is there is gone on with.
 * `deferred` sends the file as a stream whose length nobody knows.
 */

import { createReadStream } from "node:fs";
import { PassThrough } from "node:stream";
import { FileUrlStorage, Upload } from "tus-js-client";

const { endpoint, token, path, storage, resume, deferred, ...options } = JSON.parse(process.argv[2]);

function tell(fact) {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

// Of a stream that is a file's, it looks at the file after all, and where that ends it stands still.
const file = createReadStream(path);
const source = deferred ? file.pipe(new PassThrough()) : file;

const upload = new Upload(source, {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  // Longer than a busy machine takes to start the server again.
  retryDelays: [100, 200, 400, ...Array(400).fill(500)],
  metadata: { filename: "sent.bin", filetype: "application/x-test" },
  ...(storage ? { urlStorage: new FileUrlStorage(storage) } : {}),
  uploadLengthDeferred: Boolean(deferred),
  ...options,
  onAfterResponse: (request, response) =>
    tell({ method: request.getMethod(), status: response.getStatus() }),
  onUploadUrlAvailable: () => tell({ url: upload.url }),
  onError: (error) => {
    tell({ error: String(error) });
    process.exitCode = 1;
  },
  onSuccess: () => tell({ done: upload.url }),
});

if (resume) {
  const [previous] = await upload.findPreviousUploads();
  tell({ found: previous?.uploadUrl ?? null });
  if (previous) upload.resumeFromPreviousUpload(previous);
}
upload.start();
