"""The traces of this run's connection: the selected backend, and how far packets got according to conntrack and events.

Entries count only if they were updated during the run: maps keep closed connections for minutes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ...evidence.reading import Absent, Unavailable
from ...plan.plan import Backend
from ...sources.client_report import ClientReport
from ...sources.maps.conntrack import CtEntry, TcpFlag
from ..failure_model.stage import Stage, stages
from .flow_events import Events
from .progress import Progress


class Seen(Enum):
    """Whether packets were seen at one stage."""

    YES = "yes"
    NO = "no"  # the evidence was read, and has no trace of them
    UNKNOWN = "unknown"  # no evidence of this stage, or it could not be read


class Unwritten:
    """No entry is created for these packets: an end is in the host's network, or they stay in one network namespace."""


Trace = CtEntry | Absent | Unavailable | Unwritten | None  # None: not looked up (yet)


@dataclass(frozen=True, slots=True)
class Connection:
    """The entries of this run; an entry of an earlier run counts as `Absent`.

    `chosen`: the backend that packets were sent to: the pod itself, or the backend of the Service that the datapath
    selected. `outgoing`, `incoming`: the OUT and IN entries; without a selected backend, `outgoing` is `Absent` if no
    candidate has one. A trace in either conntrack or events is enough.
    """

    chosen: Backend | None = None
    service: Trace = None
    outgoing: Trace = None
    incoming: Trace = None
    untranslated_entry: Trace = None  # OUT to the ClusterIP: the connection was not translated
    incoming_since_s: float | None = None
    outgoing_since_s: float | None = None
    report: ClientReport | None = None
    service_facts: Mapping[str, str] = field(default_factory=dict)
    source_node: str = ""
    events: Events = field(default_factory=Events)

    @property
    def translated(self) -> bool:
        """A backend was selected for this connection."""
        return isinstance(self.service, CtEntry)

    @property
    def untranslated(self) -> bool:
        """The connection left the pod with the ClusterIP as its destination."""
        return isinstance(self.untranslated_entry, CtEntry)

    @property
    def left(self) -> bool:
        """`cil_from_container` handled packets of this connection."""
        return self.translated or self.untranslated or self.sent

    @property
    def sent(self) -> bool:
        """The source's program forwarded packets to the backend."""
        return isinstance(self.outgoing, CtEntry) or self._seen_leaving

    @property
    def received(self) -> bool:
        """Packets reached the destination's policy program."""
        seen = any(self.events.delivered(self._destination_node))
        return seen or _has_packets(self.incoming, self.incoming_since_s, answers=False)

    @property
    def answered(self) -> bool:
        """The destination pod replied."""
        seen = any(self.events.sent_on(self._destination_node, reply=True))
        return seen or _has_packets(self.incoming, self.incoming_since_s, answers=True)

    @property
    def replied(self) -> bool:
        """Replies reached the source's node."""
        counted = isinstance(self.outgoing, CtEntry) and self.outgoing.received(self.outgoing_since_s or 0)
        return counted or self.client_reset or any(self.events.delivered(self.source_node, reply=True))

    @property
    def connected(self) -> bool:
        """curl had a connection."""
        return self.report is not None and self.report.connected

    @property
    def no_conntrack_entries(self) -> bool:
        """curl had a connection, but no node has an entry: something else answered, or the entries are gone."""
        neither = isinstance(self.outgoing, Absent) and isinstance(self.incoming, Absent | None)
        return self.connected and neither and not (self.sent or self.received)

    @property
    def _arrived_at_most(self) -> Stage:
        """How far requests may have got, if something other than the destination answered as far as is known."""
        return Stage.SENT if isinstance(self.incoming, Absent) else Stage.RECEIVED

    @property
    def is_of_another(self) -> bool:
        """curl's connection says nothing about the destination."""
        return self.no_conntrack_entries or self.answered_by_other

    @property
    def delivered(self) -> bool:
        """curl got a complete response, or what it refuses in place of one, or the connection that it wanted."""
        return self.report is not None and self.report.connected and self.report.responded

    @property
    def refused(self) -> bool:
        """The destination replied with a RST before there was a connection. A RST at the source's node counts unless
        the destination's node has no entry of the connection: then something else on the path sent it.
        """
        incoming = self.incoming
        if isinstance(incoming, CtEntry) and self.answered and TcpFlag.RST in incoming.tx_flags:
            return True
        not_there = isinstance(incoming, Absent) and not self.answered
        return (self.syn_rejected or self.events.refused) and not not_there

    @property
    def syn_rejected(self) -> bool:
        """A RST reached the source's node, and no SYN-ACK before it."""
        entry = self.outgoing
        return (
            isinstance(entry, CtEntry)
            and entry.received(self.outgoing_since_s or 0)
            and TcpFlag.RST in entry.rx_flags
            and TcpFlag.SYN not in entry.rx_flags
        )

    @property
    def rejected(self) -> bool:
        """A RST reached the source's node, according to conntrack or events."""
        return self.syn_rejected or self.events.refused

    @property
    def client_reset(self) -> bool:
        """The source pod replied to the SYN-ACK with a RST: the SYN-ACK arrived, but from an unexpected address."""
        entry = self.incoming
        return (
            not self.connected
            and isinstance(entry, CtEntry)
            and TcpFlag.RST in entry.rx_flags
            and TcpFlag.SYN in entry.tx_flags
        )

    @property
    def request_arrived(self) -> bool:
        """Data reached the destination pod; recorded only if the agent reports all TCP flags."""
        return isinstance(self.incoming, CtEntry) and TcpFlag.PSH in self.incoming.rx_flags

    @property
    def response_left(self) -> bool:
        """The destination pod sent data; recorded only if the agent reports all TCP flags."""
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
        """Events show that the source's program sent packets to the backend."""
        to = (self.chosen.ip, self.chosen.port) if self.chosen else None
        return any(
            observation.to == to
            for observation in (
                *self.events.sent_on(self.source_node),
                *self.events.delivered(self.source_node),
            )
        )

    @property
    def answered_by_other(self) -> bool:
        """Something other than the destination answered, as far as is known: a RST was seen or curl had a connection,
        although no packet is known to have reached the destination's policy program.
        """
        if self.received or isinstance(self.incoming, Unwritten | None):
            return False
        connected = self.connected and self.sent and isinstance(self.incoming, Absent)
        return self.refused or connected

    def progress(self, translates: bool) -> Progress:
        """How far packets got. `translates`: a SVC entry is expected."""
        seen = {mark.stage: mark.seen_of(self) for mark in _MARKS}
        if not translates:
            seen[Stage.TRANSLATED] = seen[Stage.SENT]
        reached = max((stage for stage in seen if seen[stage] is Seen.YES), default=Stage.NOTHING)
        beyond = [stage for stage in seen if seen[stage] is Seen.NO and stage > reached]
        at_most = Stage(min(beyond) - 1) if beyond else Stage.DELIVERED
        sent = Stage.SENT if seen[Stage.SENT] is Seen.YES else Stage.NOTHING
        return Progress(
            reached,
            at_most,
            translates=translates,
            answered_instead=stages(sent, self._arrived_at_most) if self.answered_by_other else frozenset(),
        )

    @property
    def reply_witness(self) -> Trace:
        """The entry that shows replies. A reply without reverse translation leaves its only trace in the entry of the
        RST that the source pod sends.
        """
        return self.outgoing if isinstance(self.incoming, CtEntry | Absent) else self.incoming


@dataclass(frozen=True, slots=True)
class _Mark:
    """A stage, the evidence that would have a trace of packets there, and whether any evidence has one."""

    stage: Stage
    witness: Callable[[Connection], Trace | ClientReport]
    seen: Callable[[Connection], bool]

    def seen_of(self, connection: Connection) -> Seen:
        """A trace in any evidence counts; a missing trace counts only if the evidence of this stage could be read."""
        if self.seen(connection):
            return Seen.YES
        witness = self.witness(connection)
        return Seen.NO if isinstance(witness, CtEntry | Absent | ClientReport) else Seen.UNKNOWN


_MARKS = (
    _Mark(Stage.TRANSLATED, lambda c: c.service, lambda c: c.translated),
    _Mark(Stage.SENT, lambda c: c.outgoing, lambda c: c.sent),
    _Mark(Stage.RECEIVED, lambda c: c.incoming, lambda c: c.received),
    _Mark(Stage.ANSWERED, lambda c: c.incoming, lambda c: c.answered),
    # what something else sent is not a reply
    _Mark(
        Stage.REPLIED,
        lambda c: c.reply_witness,
        lambda c: c.replied and (c.answered or not c.rejected) and not c.answered_by_other,
    ),
    _Mark(Stage.CONNECTED, lambda c: c.report, lambda c: c.connected and not c.is_of_another),
    _Mark(Stage.DELIVERED, lambda c: c.report, lambda c: c.delivered and not c.is_of_another),
)


def _has_packets(entry: Trace, since_s: float | None, answers: bool) -> bool:
    if not isinstance(entry, CtEntry) or since_s is None:
        return False
    return entry.sent(since_s) if answers else entry.received(since_s)
