"""What this run's connection left: the backend that was chosen and how far its packets came, as conntrack and events
tell it.

Entries count only if they were written during the run: maps keep closed connections for minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..cilium.conntrack import CtEntry, TcpFlag
from ..cilium.curl import CurlExit, CurlReport
from ..evidence.reading import Absent, Unavailable
from ..plan.plan import Backend
from .events import Events
from .findings import Rung
from .ladder import Ladder

# Entries carry whole seconds, and the uptime was read up to a round trip after the request was sent.
_CLOCK_TOLERANCE_S = 2.0

Trace = CtEntry | Absent | Unavailable | None  # None: not looked for (yet)


@dataclass(frozen=True, slots=True)
class Connection:
    """The entries of this run; an entry of an earlier one counts as `Absent`.

    `chosen` is the backend that the packets were sent to: the only one of a pod destination, of a Service the one
    that the datapath noted. `outgoing` and `incoming` are the OUT and IN entries; nobody writes the first for a source,
    nor the second for a destination, that is in the host's network. `quiet`: nobody notes what leaves the source. What
    one witness saw counts, also where the other is silent.
    """

    chosen: Backend | None = None
    service: Trace = None
    outgoing: Trace = None
    incoming: Trace = None
    straight: Trace = None  # OUT to the ClusterIP itself: nobody translated it
    incoming_since_s: float | None = None
    outgoing_since_s: float | None = None
    quiet: bool = False
    report: CurlReport | None = None
    service_facts: Mapping[str, str] = field(default_factory=dict)
    source_node: str = ""
    events: Events = field(default_factory=Events)

    @property
    def translated(self) -> bool:
        """A backend was chosen for this connection."""
        return isinstance(self.service, CtEntry)

    @property
    def untranslated(self) -> bool:
        """The connection left the pod with the ClusterIP as its destination."""
        return isinstance(self.straight, CtEntry)

    @property
    def left(self) -> bool:
        """`cil_from_container` handled packets of this connection."""
        return self.translated or self.untranslated or self.sent

    @property
    def sent(self) -> bool:
        """The source's program let packets go to the backend."""
        return isinstance(self.outgoing, CtEntry) or self._seen_leaving

    @property
    def received(self) -> bool:
        """Packets reached the destination's policy program."""
        seen = any(self.events.delivered(self._destination_node))
        return seen or _noted(self.incoming, self.incoming_since_s, answers=False)

    @property
    def answered(self) -> bool:
        """The destination pod sent something back."""
        seen = any(self.events.sent_on(self._destination_node, reply=True))
        return seen or _noted(self.incoming, self.incoming_since_s, answers=True)

    @property
    def replied(self) -> bool:
        """Something came back to the source's node."""
        counted = isinstance(self.outgoing, CtEntry) and self.outgoing.received(self.outgoing_since_s or 0)
        return counted or self.client_reset or any(self.events.delivered(self.source_node, reply=True))

    @property
    def connected(self) -> bool:
        """curl had a connection."""
        return self.report is not None and (self.report.timings.connect > 0 or self.report.http_status > 0)

    @property
    def delivered(self) -> bool:
        """curl got a whole response."""
        return (
            self.report is not None and self.report.exit_code == CurlExit.OK and self.report.http_status > 0
        )

    @property
    def refused(self) -> bool:
        """The destination answered with a RST before there was a connection."""
        noted = isinstance(self.incoming, CtEntry) and TcpFlag.RST in self.incoming.tx_flags
        return (self.answered and noted) or self._host_refused or self.events.refused

    @property
    def _host_refused(self) -> bool:
        """The same of a host, whose answers are noted only where they come back to."""
        entry = self.outgoing
        noted = isinstance(entry, CtEntry) and TcpFlag.RST in entry.rx_flags
        return self.incoming is None and self.replied and noted

    @property
    def client_reset(self) -> bool:
        """The source pod answered the SYN-ACK with a RST: it came back, but from an address that was never called."""
        entry = self.incoming
        return (
            not self.connected
            and isinstance(entry, CtEntry)
            and TcpFlag.RST in entry.rx_flags
            and TcpFlag.SYN in entry.tx_flags
        )

    @property
    def request_arrived(self) -> bool:
        """Data reached the destination pod; seen only where the agent reports all TCP flags."""
        return isinstance(self.incoming, CtEntry) and TcpFlag.PSH in self.incoming.rx_flags

    @property
    def response_left(self) -> bool:
        """Data came from the destination pod; seen only where the agent reports all TCP flags."""
        return isinstance(self.incoming, CtEntry) and TcpFlag.PSH in self.incoming.tx_flags

    @property
    def ended_by_pod(self) -> bool:
        """The destination pod ended the connection."""
        ends = TcpFlag.RST | TcpFlag.FIN
        return isinstance(self.incoming, CtEntry) and bool(self.incoming.tx_flags & ends)

    @property
    def _destination_node(self) -> str:
        return self.chosen.place.name if self.chosen and self.chosen.place else ""

    @property
    def _seen_leaving(self) -> bool:
        """The source's program was seen to send packets to the backend, on this node or towards another."""
        to = (self.chosen.ip, self.chosen.port) if self.chosen else None
        return any(
            sighting.to == to
            for sighting in (*self.events.sent_on(self.source_node), *self.events.delivered(self.source_node))
        )

    def ladder(self, translates: bool) -> Ladder:
        """How far the packets came. `translates`: a SVC entry is to be expected."""
        left = None if self.quiet else _seen(self.outgoing, self.left)
        steps: list[tuple[Rung, bool | None]] = [
            (Rung.TRANSLATED, _seen(self.service, self.translated) if translates else left),
            (Rung.SENT, _seen(self.outgoing, self.sent)),
            (Rung.RECEIVED, _seen(self.incoming, self.received)),
            (Rung.ANSWERED, _seen(self.incoming, self.answered)),
            (Rung.REPLIED, _seen(self.outgoing, self.replied)),
            (Rung.CONNECTED, self.connected if self.report else None),
            (Rung.DELIVERED, self.delivered if self.report else None),
        ]
        reached = max((rung for rung, seen in steps if seen), default=Rung.NOTHING)
        beyond = [rung for rung, seen in steps if seen is False and rung > reached]
        at_most = Rung(min(beyond) - 1) if beyond else Rung.DELIVERED
        return Ladder(reached, at_most)


def _seen(trace: Trace, seen: bool) -> bool | None:
    """True or False as evidence has it, None where there is no evidence. Events tell only what was seen."""
    return seen or (None if trace is None or isinstance(trace, Unavailable) else False)


def _noted(entry: Trace, since_s: float | None, answers: bool) -> bool:
    if not isinstance(entry, CtEntry) or since_s is None:
        return False
    return entry.sent(since_s) if answers else entry.received(since_s)
