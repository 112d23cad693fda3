"""curl: its command line, and its report → `ClientReport`.

In: a request, and what curl printed. Out: argv and stdin, and a `ClientReport`. Called by `runs` and `diagnose`.
"""
