"""Files of the repository that code generates: written by one make target, and compared by another. Called by `chart`
and `dashboards`.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write_or_check(target: str, files: Iterable[tuple[Path, str]], *arguments: str) -> int:
    """Write the files with their content, or with `--check` compare them. The exit code says whether they are the same.
    `target`: the make target that writes them.
    """
    parser = argparse.ArgumentParser(prog=target)
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args(arguments).check
    out_of_date = []
    for path, content in files:
        if not check:
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            out_of_date.append(str(path.relative_to(ROOT)))
    if out_of_date:
        print(f"{', '.join(out_of_date)}: out of date, run make {target}", file=sys.stderr)
    return 1 if out_of_date else 0
