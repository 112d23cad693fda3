"""The packages that requirements.txt pins, which are those of the image."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements.txt"


def locked() -> dict[str, str]:
    """Name and version of each package."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE))
