"""What takes the place of secrets in whatever is shown or saved of a request. Called by `bundle` and the checks."""


def starred(text: str) -> str:
    """As many octets that say nothing."""
    return "*" * len(text.encode())


def without_values(path: str) -> str:
    """The path with as many stars as its query's values have octets, and a name without a value too."""
    before, mark, query = path.partition("?")
    parts = (part.partition("=") for part in query.split("&"))
    hidden = (f"{name}={starred(value)}" if equals else starred(name) for name, equals, value in parts)
    return f"{before}{mark}{'&'.join(hidden)}"
