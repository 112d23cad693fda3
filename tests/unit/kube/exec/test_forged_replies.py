"""A container that prints marks of its own loses its channel: no reply ends in an exception or an impossible time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.command import Command
from datapath_probe.kube.exec.framing import Batch, FramingError, Reply
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent

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


class _Channel:
    """Answers with a forged reply, or fails in a way that nothing provides for."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.lost = None
        self._answer = answer

    async def run(self, batch: Batch) -> Reply:
        if isinstance(self._answer, Exception):
            raise self._answer
        return batch.decode(self._answer)

    def hang_up(self) -> None:
        """No resources to release."""


class _Pool(ChannelPool):
    def __init__(self, answer: bytes | Exception) -> None:
        super().__init__(client=None)  # type: ignore[arg-type]
        self._answer = answer

    async def _open_channel(self, agent: Agent) -> _Channel:  # type: ignore[override]
        return _Channel(self._answer)


async def asked(answer: bytes | Exception) -> list[Reading]:
    return list(await ShellAgents(_Pool(answer), lambda _: AGENT).run("node1", COMMANDS))


async def test_an_exception_of_the_collector_is_missing_evidence() -> None:
    for reading in await asked(ValueError("Authorization: s3cret")):
        assert isinstance(reading, Unavailable)
        assert reading.reason == EvidenceError.INTERNAL_ERROR
        assert "s3cret" not in reading.message
