/** What blake3.umd.min.js adds to the `hashwasm` that sha256.umd.min.d.ts describes. */
export {};

declare global {
  interface HashWasm {
    createBLAKE3(): Promise<StreamingHash>;
  }
}
