"""Asks node agents from inside a node: `python -m e2e.node_agent_client`, with a pickled `Question` as base64 on stdin.

Prints the readings likewise. Called by `test_collectors`: the machine can't reach the network of the nodes.
"""

import asyncio
import base64
import pickle
import sys
from dataclasses import dataclass

from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Reading
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.nodes.certificates.authority import Identity
from datapath_probe.nodes.client.connections import Connections
from datapath_probe.nodes.client.node_agents import NodeAgents


@dataclass(frozen=True, slots=True)
class Question:
    """Facts, and who asks for them. `agents`: by node. `times`: how often they are asked; the last answers count."""

    facts: tuple[Fact, ...]
    agents: dict[str, NodeAgentAddress]
    identity: Identity | None
    times: int = 1


async def answers(question: Question) -> dict[Fact, Reading]:
    """One reading per fact."""
    connections = Connections(lambda: question.identity)
    agents = NodeAgents(connections, question.agents.get)
    found: dict[Fact, Reading] = {}
    for node in dict.fromkeys(fact.node for fact in question.facts):
        facts = [fact for fact in question.facts if fact.node == node]
        for _ in range(question.times):
            found |= zip(facts, await agents.ask(node, facts), strict=True)
    await connections.close()
    return found


if __name__ == "__main__":
    asked = pickle.loads(base64.b64decode(sys.stdin.read()))  # noqa: S301  # our own
    print(base64.b64encode(pickle.dumps(asyncio.run(answers(asked)))).decode())
