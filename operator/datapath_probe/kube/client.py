"""The login and the one connection pool to the API server: for `kubernetes.aio`, exec channels and kopf.

In: a kubeconfig, or the pod's ServiceAccount. Out: an `ApiClient`, and aiohttp sessions on the same pool.
Called by the composition root in `control`.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import AddrInfoType
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from .. import __version__

USER_AGENT = f"datapath-probe/{__version__}"

# Each watch and each agent's command channel holds its connection for good: a full pool would not fail,
# it would let everything else wait without a word.
UNLIMITED = 0

# A peer that vanished without closing is noticed after 25 s, on watches and command channels too.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


class LoginError(Exception):
    """There are no usable credentials; the message says where they were looked for."""


async def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """The named kubeconfig or context, else the pod's ServiceAccount, else kubectl's default file.

    The ServiceAccount's token is projected and expires: kubernetes.aio's hook reads the file again when a
    request needs it and the last look is a minute old. Raises LoginError.
    """
    configuration = Configuration()
    try:
        if kubeconfig or context:
            await load_kube_config(kubeconfig, context=context, client_configuration=configuration)
        else:
            try:
                load_incluster_config(configuration)
            except ConfigException:
                await load_kube_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        source = kubeconfig or "the pod's ServiceAccount or the default kubeconfig"
        raise LoginError(f"can't log in to Kubernetes through {source}: {error}") from error
    # As kubectl does: chain and host name are verified, but a cluster's CA need not be as strictly RFC 5280
    # as Python 3.13 would have it.
    configuration.disable_strict_ssl_verification = True
    return configuration


@asynccontextmanager
async def connect(configuration: Configuration, connections: int = UNLIMITED) -> AsyncIterator[ApiClient]:
    """An ApiClient on a connection pool of its own; other clients of this configuration share the pool."""
    client = ApiClient(configuration)
    client.user_agent = USER_AGENT
    connector = aiohttp.TCPConnector(
        limit=connections, ssl=client.rest_client.ssl_context, socket_factory=_keepalive_socket
    )
    configuration.client_session_kwargs = {"connector": connector}
    try:
        yield client
    finally:
        await client.close()
        await connector.close()


def session(client: ApiClient) -> aiohttp.ClientSession:
    """A session on the client's pool that sends its current token: for kopf, as `kopf.AiohttpSession`.

    Whoever takes the session closes it; the pool stays open.
    """
    configuration = client.configuration

    async def authorize(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        if token := await configuration.get_api_key_with_prefix("BearerToken"):
            request.headers["Authorization"] = token
        try:
            return await send(request)
        except Exception as error:
            if made.closed:  # by kopf, whose login was refused meanwhile; this makes kopf try anew
                raise RuntimeError("Session is closed") from error
            raise

    made = aiohttp.ClientSession(
        connector=configuration.client_session_kwargs["connector"],
        connector_owner=False,
        headers={"User-Agent": USER_AGENT},
        middlewares=(authorize,),
        proxy=configuration.proxy,
        trust_env=True,
    )
    return made


def _keepalive_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # not every system has all of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock
