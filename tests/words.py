"""Words that code and docs must not use, each with the term to use instead. Called by `make lint`.

The project uses the terms of Cilium, Kubernetes and Linux networking, and US spelling. It has one metaphor of its own:
a witness gives evidence, and evidence leads to a verdict (docs/glossary.md).

In: files and folders. Out: a line `file:line: word → use instead` for each word, and exit code 1 if there is any.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SUFFIXES = frozenset({".md", ".mk", ".pl", ".py", ".toml", ".yaml", ".yml"})
HISTORY = "adr"  # decision records describe their time
RECORDED = "data"  # recorded answers and statuses; the code beside them is checked
OWN = frozenset({"words.py", "test_words.py"})  # the list itself
# `_` separates words, since a word may be part of an identifier (`seen_way`); `-` and `/` do not: names such as
# `source-swallows-requests` and `e2e/nobody` are those of recorded faults and objects. `*` is any ending.
DENIED: Mapping[str, str] = {
    "afresh": "again, or say what is reset",
    "anew": "again, or say what is new",
    "astray": "to the wrong endpoint, node or program",
    "feign*": "masked by, possible cause",
    "heard|unheard": "received, observed",
    "misled|mislead*": "redirected, misdirected",
    "nobody": "no process, no client, nothing",
    "righted": "fixed, repaired",
    "stand(?:s|ing)? still|stood still": "stable, settled, stopped",
    "stray*": "unsupported, not followed",
    "swallow*": "drop",
    "throw(?:s|n|ing)? away|threw away": "drop, discard",
    "told|untold": "reported, known, printed, published",
    "whoever|whomever": "the client, the user, anyone who",
    r"way (?:of|for) (?:\w+ )?(?:packet*|connection*|request*|repl*)": "path",
    r"(?:way|ways) that (?:\w+ ){0,2}packet*": "path",
    "way (?:there|back)|on the way|on its way|new way": "path, request, reply, in flight",
    "analys(?:e|ed|er|ing)": "analyze",
    "artefact*": "artifact",
    "behaviour*": "behavior",
    "catalogue*": "catalog",
    "centre*": "center",
    "colour*": "color",
    "favour*": "favor",
    "grey": "gray",
    "honour*": "honor",
    "licence*": "license",
    r"neighbour*(?!\.[ch]\b)": "neighbor",
    "(?:author|initial|minim|maxim|normal|optim)is(?:e|ed|er|es|ing|ation)": "-ize",
    "(?:organ|priorit|recogn|serial|summar|synchron|util)is(?:e|ed|er|es|ing|ation)": "-ize",
}


def _pattern(words: str) -> re.Pattern[str]:
    ending = words.replace("*", r"[^\W_]*").replace(" ", r"\s+")
    return re.compile(rf"(?<![^\W_])(?<![-/])(?:{ending})(?![^\W_]|-)", re.IGNORECASE)


_PATTERNS = [(_pattern(words), instead) for words, instead in DENIED.items()]


def found_in(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, word, what to use instead) of each word; a phrase may continue on the next line."""
    for pattern, instead in _PATTERNS:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match[0], instead


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files with prose or code under these paths. A file that is named itself is one, whatever its suffix."""
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        yield from (file for file in inside if file.suffix in SUFFIXES and not _is_exempt(file))
        if path.is_file():
            yield path


def _is_exempt(file: Path) -> bool:
    recorded = RECORDED in file.parts and file.suffix != ".py"
    return HISTORY in file.parts or recorded or file.name in OWN


def main(*arguments: str) -> int:
    """Print all denied words. Returns 1 if there are any."""
    lines = [
        f"{file}:{line}: {word!r} → use: {instead}"
        for file in files(map(Path, arguments))
        for line, word, instead in sorted(found_in(file.read_text(encoding="utf-8")))
    ]
    print("\n".join(lines) or "no denied words")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
