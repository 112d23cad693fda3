"""Replaces secrets in everything that is shown or saved about a request. Called by `bundle` and the checks."""


def starred(text: str) -> str:
    """A star for each octet."""
    return "*" * len(text.encode())


def without_values(path: str) -> str:
    """The path with values in its query starred, and names without a value too."""
    before, mark, query = path.partition("?")
    parts = (part.partition("=") for part in query.split("&"))
    hidden = (f"{name}={starred(value)}" if equals else starred(name) for name, equals, value in parts)
    return f"{before}{mark}{'&'.join(hidden)}"
