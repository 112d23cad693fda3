"""Results → text for people.

The table of a run, the packets of a capture, advice on each reason, docs/errors.md. In: a status or a
diagnosis. Out: rich tables, Markdown. Called by `cli` and by `publish.status`.
"""
