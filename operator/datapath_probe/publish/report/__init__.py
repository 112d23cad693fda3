"""Results → text for users: the report of a run, captured packets, docs/errors.md and docs/verdict.md.

In: a status, or the catalogs of reasons and rules. Out: rich tables and Markdown. Called by `cli` and `make docs`.
"""
