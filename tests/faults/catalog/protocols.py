"""HTTPS and TCP: what the server does wrong, beside the same symptom made by the datapath."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import application, netfilter, tls
from faults.inject.in_place import Injected
from faults.scene import Scene, Target

RESPONSE, INTERFACE = HopName.DESTINATION_RESPONSE, HopName.DESTINATION_INTERFACE
_RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")


def _certificate(name: str, certificate: str, reason: str) -> Fault:
    return Fault(
        name,
        lambda s: tls.certificate(s.galaxy, s.far, certificate),
        broken(RESPONSE, reason, At.DESTINATION),
        Target.TLS,
    )


def _filtered(scene: Scene, port: int, *target: str) -> Injected:
    """A rule inside the destination's network namespace."""
    return netfilter.rule_in_pod(scene.lab, scene.far, "INPUT", "-p", "tcp", "--dport", str(port), *target)


FAULTS = (
    _certificate("tls-of-an-unknown-ca", "untrusted", "UnknownCA"),
    _certificate("tls-for-another-name", "misnamed", "CertificateNameMismatch"),
    _certificate("tls-expired", "expired", "CertificateExpired"),
    _certificate("tls-not-spoken", "none", "TLSHandshakeFailed"),
    Fault(
        "tls-not-listening",
        lambda s: tls.stopped(s.galaxy, s.far),
        broken(RESPONSE, "ConnectionRefused", At.DESTINATION),
        Target.TLS,
    ),
    Fault(
        "tls-filter-drops-inside",
        lambda s: _filtered(s, tls.PORT, "-j", "DROP"),
        broken(INTERFACE, "NetfilterDrops", At.DESTINATION),
        Target.TLS,
    ),
    Fault(
        "tls-filter-resets-data-inside",
        lambda s: _filtered(s, tls.PORT, "--tcp-flags", "PSH", "PSH", *_RESET),
        broken(INTERFACE, "NetfilterDrops", At.DESTINATION),
        Target.TLS,
    ),
    Fault(
        "tcp-not-listening",
        lambda s: application.stopped(s.galaxy, s.far),
        broken(RESPONSE, "ConnectionRefused", At.DESTINATION),
        Target.TCP,
    ),
    Fault(
        "tcp-filter-rejects-inside",
        lambda s: _filtered(s, 80, *_RESET),
        broken(INTERFACE, "NetfilterDrops", At.DESTINATION),
        Target.TCP,
    ),
    Fault(
        "tcp-filter-drops-inside",
        lambda s: _filtered(s, 80, "-j", "DROP"),
        broken(INTERFACE, "NetfilterDrops", At.DESTINATION),
        Target.TCP,
    ),
)
