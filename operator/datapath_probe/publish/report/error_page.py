"""docs/errors.md, generated from the reason catalog by `python -m datapath_probe.publish.report.error_page`."""

from ..advice import catalog

HEAD = """\
# Reasons

Every reason that a condition, a hop, a metric label or the note of an Event can have: what causes it, which evidence
shows it, and what to do next. The reason of an Event itself is `ProbeBroken`, `ProbeDegraded`, `ProbeRecovered`,
`ProbeUnknown` or `PathChanged`.

<!-- Made from operator/datapath_probe/publish/advice.toml by `make docs-errors`; do not edit here. -->
"""


def error_page() -> str:
    """The page as Markdown."""
    lines = [HEAD]
    for family, entries in catalog().items():
        lines.append(f"## {family}\n")
        for reason, advice in entries.items():
            lines += [
                f"### {reason}\n",
                f"{advice.cause}\n",
                f"- **Evidence**: {advice.evidence}",
                f"- **Next**: {advice.next_sentence}\n",
            ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(error_page(), end="")
