"""Faults of every kind against a real server, while clients send files: `make chaos`.

    python -m benchmarks.chaos --seconds 600 --seed 7

A server of its own (`manage.py serve`) takes files of 0 bytes to 200 MiB from several clients
behind a network that is cut and stalled, on a disk that fills up and refuses, with a database that
is locked by others, while its processes are killed and cleaned up after. At the end all of it
stops, and everything is counted: what was promised must hold (docs/promises.md).

Everything random comes from the seed: the same seed plans the same files, the same faults and the
same moments for them. How the threads of clients and server then interleave is not planned, so the
same plan can end differently; a failure that depends on timing may need several replays.
"""
