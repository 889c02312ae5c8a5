"""One request to a receiver: bounded in time and size, to public addresses only, never redirected.

In: an address, headers, bytes. Out: a `Response`; nothing a receiver does raises. A name is looked up once, every
address found is checked, and the connection goes to those: a name that changes its mind meanwhile gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from troth import limits
from troth.outbox.outcomes import Response

_LOOKED_UP_SECONDS = 10  # that addresses of a name are used again; they were checked
_KEPT_OPEN_SECONDS = 30
_NAT64 = ip_network("64:ff9b::/96")
_Address = IPv4Address | IPv6Address


class PrivateAddressError(OSError):
    """The receiver is at an address that is not public."""


def is_public(address: _Address) -> bool:
    """Whether anybody on the internet may have this address; one that hides another is judged by that one too."""
    inner = _hidden(address)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _hidden(address: _Address) -> IPv4Address | None:
    """The IPv4 address within an IPv6 one: mapped, 6to4, Teredo's client, NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def literal_address(host: str) -> _Address | None:
    """The address that a host of a URL is, or None: it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


class _Resolver(AbstractResolver):
    """Names → public addresses. Look-ups run on threads of their own: a slow name server delays nobody else."""

    def __init__(self, *, allows_private: bool) -> None:
        self._allows_private = allows_private
        self._threads = ThreadPoolExecutor(max_workers=limits.WEBHOOKS, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        if not self._allows_private:
            found = [item for item in found if is_public(ip_address(item["host"].partition("%")[0]))]
            if not found:
                raise PrivateAddressError(f"{host} is at a private address")
        return found

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(place[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for kind, _, protocol, _, place in found
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends requests for all webhooks of a process."""

    session: aiohttp.ClientSession
    allows_private: bool
    timeout_seconds: float

    async def post(self, request: Request) -> Response:
        """Send it. Out: what was answered, or why nothing was."""
        at, started = datetime.now(UTC), time.monotonic()

        def took() -> int:
            return round((time.monotonic() - started) * 1000)

        try:
            self._check_literal(request.url)
            async with asyncio.timeout(self.timeout_seconds):
                return await self._post(request, at, took)
        except TimeoutError:
            error = f"timeout: no whole answer within {self.timeout_seconds:g} s"
        except PrivateAddressError as refused:
            error = f"private_address: {refused}"
        except aiohttp.ClientConnectorCertificateError:
            error = "certificate: the receiver's certificate is not trusted"
        except aiohttp.ClientConnectorDNSError as failed:
            is_private = isinstance(failed.os_error, PrivateAddressError)
            error = f"private_address: {failed.os_error}" if is_private else "unknown_host: the name has no address"
        except (aiohttp.ClientError, OSError, ValueError) as failed:
            error = f"connection: {type(failed).__name__}"
        return Response(at=at, milliseconds=took(), error=error)

    def _check_literal(self, url: str) -> None:
        """An address that is written out is not looked up, so it is checked here. Raises PrivateAddressError."""
        address = literal_address(URL(url).host or "")
        if address is not None and not self.allows_private and not is_public(address):
            raise PrivateAddressError(f"{address} is a private address")

    async def _post(self, request: Request, at: datetime, took: Callable[[], int]) -> Response:
        async with self.session.post(
            request.url, data=request.body, headers=request.headers, allow_redirects=False
        ) as answer:
            body = await _first_bytes(answer.content)
            return Response(
                at=at,
                milliseconds=took(),
                status=answer.status,
                error=_error_of(answer.status),
                answer=body.decode("utf-8", "replace").replace("\0", "\ufffd") or None,
                retry_after=retry_after(answer.headers.get("Retry-After"), datetime.now(UTC)),
            )


async def _first_bytes(content: aiohttp.StreamReader) -> bytes:
    """What is kept of an answer; the rest is not read."""
    found = b""
    while len(found) < limits.WEBHOOK_ANSWER_BYTES:
        more = await content.read(limits.WEBHOOK_ANSWER_BYTES - len(found))
        if not more:
            break
        found += more
    return found


def _error_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"redirect: answered {status}, and redirects are not followed"
    return f"status: answered {status}"


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, as a number or as a date; None: nothing that can be read."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


@asynccontextmanager
async def open_sender(*, allows_private: bool, timeout_seconds: float) -> AsyncIterator[Sender]:
    """A sender without cookies, proxies or a bound that one receiver could use up for the others."""
    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=_Resolver(allows_private=allows_private),
        ttl_dns_cache=_LOOKED_UP_SECONDS,
        keepalive_timeout=_KEPT_OPEN_SECONDS,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
    )
    async with session:
        yield Sender(session=session, allows_private=allows_private, timeout_seconds=timeout_seconds)
