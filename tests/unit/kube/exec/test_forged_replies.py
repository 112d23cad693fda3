"""A container that prints marks of its own loses its channel: no reply ends in an exception or an impossible time."""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.kube.exec import shell
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.framing import Batch, FramingError
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.kube.exec.protocol import Stdout
from datapath_probe.plan.objects import Agent
from datapath_probe.sources.iproute2 import links, qdisc
from datapath_probe.tools.command import Command

COMMANDS = (Command("node1", ("ip", "route")), Command("node1", ("tc", "qdisc")))
NONCE = "5e" * 16
BATCH = Batch(COMMANDS, 10_000, nonce=NONCE)
HONEST = "@s 100.00\nout@o 0 100.01\n@o 1 100.02\n@r@e@e@x 100.02\n"
AGENT = Agent("node1", "kube-system", "cilium-a", "cilium-agent", ready=True, incarnation="1")


def reply(text: str) -> bytes:
    return text.replace("@", NONCE).encode()


def test_an_honest_reply_is_decoded() -> None:
    assert [result.exit_code for result in BATCH.decode(reply(HONEST)).results] == [0, 1]


@pytest.mark.parametrize(
    ("honest", "forged"),
    [
        ("s 100.00", "s 2.0.0"),
        ("s 100.00", f"s {'9' * 5000}"),
        ("o 0 100.01", "o 0 1.5.5"),
        ("o 0 100.01", f"o {'9' * 5000} 100.01"),
        ("o 0 100.01", "o 0 ."),
        ("x 100.02", "x 2.0.0"),
        ("x 100.02", f"x {'9' * 400}"),
        pytest.param("x 100.02", "x 9999999999.00", id="a batch of 300 years"),
        pytest.param("x 100.02", "x 99.00", id="it ended before it began"),
        pytest.param("o 0 100.01", "o 0 3.00", id="a command ended before it began"),
    ],
)
def test_a_forged_reply_is_recognized_or_never_ends(honest: str, forged: str) -> None:
    text = reply(HONEST.replace(honest, forged))
    if not BATCH.is_whole(text):
        return
    with pytest.raises(FramingError):
        BATCH.decode(text)


@given(
    st.lists(
        st.sampled_from((*"@@@@soerx .0159\n", "9" * 400, "100.00", "o 0 100.01\n", "x 1\n")), max_size=40
    )
)
def test_any_reply_is_decoded_or_refused(parts: list[str]) -> None:
    for text in (reply("".join(parts)), reply("@s 100.00\n" + "".join(parts) + "@x 101.00\n")):
        try:
            decoded = BATCH.decode(text)
        except FramingError:
            continue
        for result in decoded.results:
            assert 0 <= result.duration_s <= result.age_s < math.inf
            assert 0 <= result.exit_code <= 999


class ForgingContainer:
    """An agent's container: a shell that answers every batch with a forged end, or fails unexpectedly."""

    def __init__(self, end: str | Exception) -> None:
        self._end = end
        self._events: asyncio.Queue[Stdout] = asyncio.Queue()

    @asynccontextmanager
    async def opened(self, *_: object, **__: object) -> AsyncIterator["ForgingContainer"]:
        yield self

    async def send(self, script: bytes) -> None:
        nonce = re.findall(rb"([0-9a-f]{32})s %s", script)[0]
        is_check = b"\ndp " not in script
        if isinstance(self._end, Exception) and not is_check:
            raise self._end
        end = "x 1.00\n" if is_check else self._end
        self._events.put_nowait(Stdout(f"@s 1.00\n@r@{end}".replace("@", nonce.decode()).encode()))

    async def receive(self) -> tuple[Stdout, ...]:
        return (await self._events.get(),)


async def shared_by(
    runs: int, monkeypatch: pytest.MonkeyPatch, end: str | Exception
) -> list[list[Reading] | BaseException]:
    """What so many runs receive that share a batch whose reply has this end."""
    monkeypatch.setattr(shell, "open_exec", lambda *_, **__: ForgingContainer(end).opened())
    pool = ChannelPool(client=None)  # type: ignore[arg-type]
    answers = AnswerCache(ShellAgents(pool, lambda _: AGENT))
    facts = [links.link("node1", "eth0"), qdisc.losing("node1")]
    with capture_logs():
        asked = (answers.ask(facts, {"node1": "1"}) for _ in range(runs))
        received = await asyncio.gather(*asked, return_exceptions=True)
    await pool.close()
    return received


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("x 9999999999.00\n", EvidenceError.CHANNEL_LOST),
        ("o 0 1.5.5\n@x 1.00\n", EvidenceError.CHANNEL_LOST),
        (ValueError("Authorization: s3cret"), EvidenceError.INTERNAL_ERROR),
    ],
    ids=str,
)
async def test_all_runs_that_share_a_batch_are_without_evidence(
    monkeypatch: pytest.MonkeyPatch, end: str | Exception, reason: EvidenceError
) -> None:
    runs = await shared_by(3, monkeypatch, end)
    assert not [run for run in runs if isinstance(run, BaseException)]
    for reading in (reading for run in runs if not isinstance(run, BaseException) for reading in run):
        assert isinstance(reading, Unavailable)
        assert reading.reason == reason
        assert "s3cret" not in reading.message
