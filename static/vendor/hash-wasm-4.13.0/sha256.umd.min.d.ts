/** The part of hash-wasm that hash-worker.js uses; each file adds to one global. */
export {};

declare global {
  interface StreamingHash {
    init(): StreamingHash;
    update(bytes: Uint8Array): StreamingHash;
    digest(encoding: "hex"): string;
    digest(encoding: "binary"): Uint8Array;
  }

  interface HashWasm {
    createSHA256(): Promise<StreamingHash>;
  }

  // A plain global variable: `var` is how TypeScript spells that.
  var hashwasm: HashWasm;
}
