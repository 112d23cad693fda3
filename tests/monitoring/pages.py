"""What Alertmanager sends: a program that receives notifications, and what it received.

In: notifications of Alertmanager's webhook. Out: lines of a file, and `Page`s. The program is one of
`configuration.commands`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """One notification. `alerts`: those of its group, firing or resolved."""

    receiver: str
    group: str
    status: str
    alerts: tuple[Mapping[str, Any], ...]

    def labels(self, name: str, status: str = "firing") -> set[str]:
        """The values of this label in its alerts with this status."""
        return {alert["labels"].get(name, "") for alert in self.alerts if alert["status"] == status}


def received(file: Path) -> list[Page]:
    """All notifications so far, the oldest first."""
    raw = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [Page(one["receiver"], one["groupKey"], one["status"], tuple(one["alerts"])) for one in raw]


def serve(port: int, file: Path) -> None:
    """Append each notification to the file, as one line."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with file.open("a") as lines:
                lines.write(json.dumps(body) + "\n")
            self.send_response(200)
            self.end_headers()

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
