"""Every change of an upload's state. Knows sessions, chunks and the store, but no HTTP."""
