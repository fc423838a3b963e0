/** The part of hash-wasm that hash-worker.js uses; the file sets a global. */
export {};

declare global {
  interface StreamingHash {
    init(): StreamingHash;
    update(bytes: Uint8Array): StreamingHash;
    digest(encoding: "hex"): string;
    digest(encoding: "binary"): Uint8Array;
  }

  // A plain global variable: `var` is how TypeScript spells that.
  var hashwasm: { createSHA256(): Promise<StreamingHash> };
}
