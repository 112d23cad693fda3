"""Asks a live cluster through the operator's own channels and keeps the answers. Called by `record`."""

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from data.asked import Asked
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.collect.source_ports import SourcePorts
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.sources.curl import request as curl
from datapath_probe.sources.curl.request import CurlRequest
from datapath_probe.tools.command import Command
from datapath_probe.tools.commands import command_of


@dataclass
class Recorder:
    """`container`: where requests are sent from. `files`: recordings by module of `sources` and name, as `record`
    writes them.
    """

    agents: ShellAgents
    containers: SourceExec
    container: ContainerRef
    files: dict[str, dict[str, object]] = field(default_factory=lambda: defaultdict(dict))
    ports: SourcePorts = field(default_factory=SourcePorts)

    async def ask(self, module: str, name: str, fact: Fact | Command) -> Answer:
        command = fact if isinstance(fact, Command) else command_of(fact)
        (reading,) = await self.agents.run(command.node, [command])
        what: dict[str, object] = {"node": command.node, "argv": command.argv}
        if isinstance(fact, Fact):
            what |= {"kind": fact.kind, "parameters": dict(fact.parameters)}
        return self._keep(module, name, what, reading)

    async def ask_all(self, facts: Iterable[Asked]) -> None:
        for module, name, fact in facts:
            await self.ask(module, name, fact)

    async def request(self, name: str, host: str, **changes: object) -> int:
        """Send a request from the client; returns its source port."""
        request = CurlRequest(
            protocol="http",
            host=host,
            port=80,
            method="POST",
            path="/v1/request-landing",
            headers=(("X-Ship", "xwing"),),
            body=b"",
            timeout_s=5,
            local_port=self.ports.take(""),
            keep_body=True,
        )
        request = replace(request, **changes)  # type: ignore[arg-type]  # a recorder's shorthand
        argv, stdin = curl.argv(request)
        answer = await self.containers.run(
            self.container, argv, stdin=stdin, timeout_s=20, stdout_limit=65536
        )
        self._keep("curl", name, {"argv": argv, "stdin": stdin.decode("latin-1")}, answer)
        return request.local_port

    def _keep(self, module: str, name: str, what: dict[str, object], reading: Reading) -> Answer:
        if not isinstance(reading, Answer):
            sys.exit(f"{module}, {name}: {reading}")
        self.files[module][name] = what | {
            "exitCode": reading.exit_code,
            "stdout": reading.stdout.decode("latin-1"),
            "stderr": reading.stderr.decode("latin-1"),
        }
        return reading
