"""Which addresses are public, what a name may stand for, and what a Retry-After says."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from tests.outbox.receiver import Receiver
from troth.outbox.sending import Request, is_public, literal_address, open_sender, retry_after

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
PRIVATE = [
    "127.0.0.1",
    "127.255.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:db8::1",
    "fe80::1%1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_private(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_names_are_no_addresses() -> None:
    assert [literal_address(host) for host in ("shop.example", "127.1", "localhost")] == [None, None, None]
    assert literal_address("::1") == ip_address("::1")


async def errors(*urls: str) -> list[str]:
    async with open_sender(allows_private=False, timeout_seconds=2) as sender:
        return [str((await sender.post(Request(url=url, headers={}, body=b""))).error) for url in urls]


async def test_no_spelling_of_a_private_address_is_reached(receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    hosts = [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "localhost",
        "2130706433",
        "0x7f.0.0.1",
        "127.1",
        "0177.0.0.1",
        "0",
        "127.0.0.1.",
    ]
    found = await errors(*(f"http://{host}:{port}" for host in hosts))
    assert [error.partition(":")[0] for error in found[:4]] == ["private_address"] * 4
    assert "None" not in found
    assert receiver.got == []


async def test_a_name_that_changes_its_mind_gains_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Public when it is looked up, private when it would be looked up again: the connection goes to the former."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, **options: int) -> list[object]:
        asked.append(host)
        place = "192.0.2.1" if len(asked) > 1 else "127.0.0.1"
        return real(place, port, **options) if host == "rebinding.test" else real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = receiver.url.replace("127.0.0.1", "rebinding.test")
    async with open_sender(allows_private=True, timeout_seconds=5) as sender:
        response = await sender.post(Request(url=url, headers={}, body=b"x"))
    assert (response.status, asked) == (204, ["rebinding.test"]), "looked up once, and connected to what was found"
    asked.clear()
    assert (await errors(url))[0] == "private_address: rebinding.test is at a private address"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("Fri, 20 Nov 2026 10:01:00 GMT", 60),
        ("Fri, 20 Nov 2026 09:01:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 30, 999_999_999),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
