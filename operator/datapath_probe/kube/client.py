"""Authentication and the one connection pool to the API server, shared by `kubernetes.aio`, exec channels and kopf.

In: a kubeconfig, or the pod's ServiceAccount. Out: an `ApiClient`, and aiohttp sessions on the same pool.
Called by the composition root in `control`, and by `cli`.
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

# Each watch and each agent's exec channel holds its connection permanently: an exhausted pool would not fail,
# it would block all other requests silently.
UNLIMITED = 0

# A peer that disappears without closing is detected after 25 s, on watches and exec channels too.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


class LoginError(Exception):
    """No usable credentials; the message names the source that was tried."""


async def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """Load the given kubeconfig or context, else the pod's ServiceAccount, else kubectl's default file.

    The ServiceAccount token is projected and expires: kubernetes.aio rereads the file on a request when the last
    read is a minute old. Raises LoginError.
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
        raise LoginError(f"cannot log in to Kubernetes with {source}: {error}") from error
    # As kubectl does: verify the chain and the host name, but accept a cluster CA that does not meet the strict
    # RFC 5280 checks of Python 3.13.
    configuration.disable_strict_ssl_verification = True
    return configuration


@asynccontextmanager
async def connect(configuration: Configuration, connections: int = UNLIMITED) -> AsyncIterator[ApiClient]:
    """Open an ApiClient with a new connection pool; other clients of this configuration share the pool."""
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
    """Create a session on the client's pool that sends its current token, for `kopf.AiohttpSession`.

    The caller closes the session; the pool stays open.
    """
    configuration = client.configuration

    async def authorize(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        if token := await configuration.get_api_key_with_prefix("BearerToken"):
            request.headers["Authorization"] = token
        try:
            return await send(request)
        except Exception as error:
            if created.closed:  # by kopf, after a rejected login; on this error kopf logs in again
                raise RuntimeError("Session is closed") from error
            raise

    created = aiohttp.ClientSession(
        connector=configuration.client_session_kwargs["connector"],
        connector_owner=False,
        headers={"User-Agent": USER_AGENT},
        middlewares=(authorize,),
        proxy=configuration.proxy,
        trust_env=True,
    )
    return created


def _keepalive_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # not every platform has all of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock
