/** What this file adds to the global of hash-wasm: see sha256.umd.min.d.ts. */
export {};

declare global {
  interface HashWasm {
    createMD5(): Promise<StreamingHash>;
  }
}
