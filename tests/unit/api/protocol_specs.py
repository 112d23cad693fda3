"""Specs with HTTPS and TCP. Part of `specs`."""

from typing import Any

from unit.api.spec_parts import Refused, Spec, spec

CA = {"configMap": {"name": "cas", "key": "ca.crt"}}


def https(tls: Any = None, **expect: Any) -> Spec:
    request = {"protocol": "HTTPS", **({} if tls is None else {"tls": tls})}
    return spec(request=request, **({"expect": expect} if expect else {}))


def tcp(**request: Any) -> Spec:
    return spec(request={"protocol": "TCP", **request})


VALID_PROTOCOLS: dict[str, Spec] = {
    "HTTPS": https(),
    "HTTPS with everything": https(
        {"caFrom": CA, "serverName": "Shop.example.com"}, certificateExpiresAfter="336h", status=[200]
    ),
    "a CA in a Secret": https({"caFrom": {"secret": {"name": "x.tls", "key": "ca_1.crt"}}}),
    "a server that is not verified": https({"insecureSkipVerify": True}),
    "the longest time until a certificate expires": https(certificateExpiresAfter="87600h"),
    "TCP": tcp(),
    "TCP with all that applies": spec(
        request={"protocol": "TCP", "timeout": "1s"},
        expect={"maxLatency": "10ms", "path": {"locality": "CrossNode"}},
    ),
    "TCP that is denied": spec(request={"protocol": "TCP"}, expect={"outcome": "Denied"}),
}

INVALID_PROTOCOLS: dict[str, Refused] = {
    "a CA without TLS": Refused(spec(request={"tls": {"caFrom": CA}}), "tls requires protocol HTTPS"),
    "TLS over TCP": Refused(tcp(tls={}), "tls requires protocol HTTPS"),
    "a CA that is not used": Refused(
        https({"caFrom": CA, "insecureSkipVerify": True}), "caFrom has no effect with insecureSkipVerify"
    ),
    "a CA from nowhere": Refused(https({"caFrom": {}}), "exactly one of configMap and secret"),
    "a CA from two objects": Refused(
        https({"caFrom": {**CA, "secret": CA["configMap"]}}), "exactly one of configMap and secret"
    ),
    "a CA of another namespace": Refused(
        https({"caFrom": {"configMap": {**CA["configMap"], "namespace": "x"}}}),
        'unknown field "spec.request.tls.caFrom.configMap.namespace"',
    ),
    "a CA from a path": Refused(
        https({"caFrom": {"configMap": {"name": "../secrets/x", "key": "k"}}}),
        "must be the name of an object",
    ),
    "a key that is a path": Refused(
        https({"caFrom": {"configMap": {"name": "cas", "key": "../x"}}}), "must be a key of a ConfigMap"
    ),
    "a server name with a port": Refused(https({"serverName": "a:443"}), "must be a host name"),
    "a server name with a line break": Refused(https({"serverName": "a\n"}), "must be a host name"),
    "a server name with a bracket": Refused(https({"serverName": "[::1]"}), "must be a host name"),
    **{
        f"a server name that curl takes for an address, {name}": Refused(
            https({"serverName": name}), "must be a host name"
        )
        for name in ("2852039166", "0xa9fea9fe", "127.1", "0x7f.1", "017700000001", "127.000.000.001")
    },
    "the certificate of HTTP": Refused(
        spec(expect={"certificateExpiresAfter": "336h"}), "set request.protocol to HTTPS"
    ),
    "the certificate of a denial": Refused(
        https(certificateExpiresAfter="336h", outcome="Denied"), "a request that is Denied has no response"
    ),
    "a certificate that may expire now": Refused(
        https(certificateExpiresAfter="0s"), "must be a duration from 1m to 87600h"
    ),
    "TCP with a method": Refused(tcp(method="POST"), "a TCP request sends no data"),
    "TCP with a path": Refused(tcp(path="/x"), "a TCP request sends no data"),
    "TCP with a header": Refused(tcp(headers=[{"name": "X", "value": ""}]), "a TCP request sends no data"),
    "TCP with a body": Refused(tcp(body="x"), "a TCP request sends no data"),
    "TCP with a status": Refused(
        spec(request={"protocol": "TCP"}, expect={"status": [200]}), "TCP has no response"
    ),
    "TCP with a body to expect": Refused(
        spec(request={"protocol": "TCP"}, expect={"bodyContains": "x"}), "TCP has no response"
    ),
}
