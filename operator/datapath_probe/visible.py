"""Text from containers, nodes and agents, made safe to show: in a status, an Event, a log or a terminal.

Control characters can move a cursor, retitle a terminal, or make text read in another order than it is written.
Called once for each kind of output, and for the messages of parsers.
"""

# Printable by Unicode's rules, and yet without any width: fillers and selectors of variants.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4"
) | {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}


def visible(text: str, keep: str = "") -> str:
    r"""The text with all characters that have no glyph as escapes such as `\x1b` and `\u202e`: control characters,
    format characters (bidirectional, zero-width), surrogates, and blanks other than the space. Those in `keep` stay.
    """
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(char if char in keep or _has_glyph(char) else _escape(char) for char in text)


def _has_glyph(char: str) -> bool:
    return char.isprintable() and char not in _INVISIBLE


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
