"""Hostile requests against a real server: `make fuzz`.

    python -m benchmarks.fuzz --requests 100000 --seed 7

A server of its own (`manage.py serve`) has uploads in every state, of two people and an
administrator. Then come requests to every address of the urlconf, most of them right but for one
thing: a header, a length, a range, a number, an id, an encoding, a structured field, the JSON, the
form, the method, the query. Some are no HTTP at all, some bodies hardly move, and some schemathesis
makes of the OpenAPI document. What must hold (docs/promises.md, P10):

- no answer is an error of the server's, none has bytes in its headers that a client put there, what
  is HTTP is not answered by the HTTP server itself, and the log has no traceback;
- every refusal has the shape of its protocol and a known code, or is a page of the site's own;
- what was refused changes nothing: between two looks at the database and at the data folder, every
  change is about an upload that an accepted request has named;
- the server's memory and descriptors stay what they were.

The same seed makes the same requests: number N is made of the seed, of N and of the uploads that
are there, whose ids alone differ; of what schemathesis makes there is more in a longer run.
`--only N` sends nothing but that one. How the threads of the server interleave is not planned.
"""
