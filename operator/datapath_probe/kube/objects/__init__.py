"""API objects (JSON) → the records of `plan.objects`.

Pure and total: a missing or wrong field costs only itself.
"""
