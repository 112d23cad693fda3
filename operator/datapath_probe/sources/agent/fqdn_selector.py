"""Selectors of `toFQDNs` rules, as the agent writes them: which names they are for. Called by `endpoint_policy`.

Source: Cilium 1.16–1.20 `pkg/policy/api/fqdn.go` (FQDNSelector.String), `pkg/fqdn/matchpattern` (`*` matches characters
of one label, `*` alone any name; since 1.18 `**.` at the beginning any number of labels).
"""

import re
from fnmatch import fnmatchcase

_WRITTEN = re.compile(r"MatchName: (?P<name>\S*), MatchPattern: (?P<pattern>\S*) ?")
_ANY, _LABELS = "*", "**."


def is_for(selector: str, host: str) -> bool:
    """Whether this is a selector for the name; False if it selects something else."""
    written = _WRITTEN.fullmatch(selector)
    if written is None:
        return False
    name, pattern = (part.lower().rstrip(".") for part in written.groups())
    return _matches(pattern, host) if pattern else name == host


def _matches(pattern: str, host: str) -> bool:
    if pattern == _ANY:
        return True
    labels, wanted = host.split("."), pattern.removeprefix(_LABELS).split(".")
    if pattern.startswith(_LABELS):
        labels = labels[1:][-len(wanted) :]
    return len(labels) == len(wanted) and all(map(fnmatchcase, labels, wanted))
