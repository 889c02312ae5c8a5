"""Plays a file of HTTP requests against a running Troth and prints what is answered.

    TROTH_KEY=$(cat .troth/first.key) python3 examples/play.py examples/01-first-event/requests.http

In: TROTH_KEY, TROTH_URL (default http://127.0.0.1:8000), and requests in the plain `.http` form that editors know:
`### title`, a line `METHOD /path`, headers, an empty line, a body. After `# @name first`, `{{first.response.body.id}}`
stands for the id of that answer in what follows; `# @show points awards` leaves the other fields out of a transcript.
Out: each request and its answer, the same on every run: ids are numbered as they appear (`evt_1`), and moments that
no request named read `<time>`. It needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

WIDTH = 110  # an answer's part that fits is shown on one line
ID = re.compile(r"\b(evt|cus|lot|pst|req|key|imp|rej|inb|pld)_[0-9A-Za-z-]{8,}")
NAME = re.compile(r"^# @name (\w+)$", re.MULTILINE)
SHOWN = re.compile(r"^# @show (.+)$", re.MULTILINE)
EARLIER = re.compile(r"\{\{(\w+)\.response\.body\.id\}\}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    title: str
    name: str  # for later requests; empty: none
    shown: tuple[str, ...]  # fields of the answer; empty: all
    method: str
    path: str
    headers: Mapping[str, str]
    body: str  # empty: none


@dataclass(slots=True)
class Mask:
    """Makes a transcript repeatable: what differs from run to run gets a name that does not."""

    said: str  # everything the requests say; moments in it are kept
    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        return MOMENT.sub(self._moment, ID.sub(self._name, text))

    def _name(self, found: re.Match[str]) -> str:
        kind = found[1]
        number = 1 + sum(name.startswith(f"{kind}_") for name in self.names.values())
        return self.names.setdefault(found[0], f"{kind}_{number}")

    def _moment(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self.said else "<time>"


def read_requests(text: str) -> Iterator[Request]:
    """The requests of one file, in order. Lines that begin with `#` before a request's first line are its story."""
    for part in re.split(r"^### *", text, flags=re.MULTILINE)[1:]:
        title, _, rest = part.partition("\n")
        lines = [line for line in rest.strip().split("\n") if not line.startswith("#")]
        head, _, body = "\n".join(lines).partition("\n\n")
        first, *headers = head.strip().split("\n")
        method, path = first.split(" ", 1)
        yield Request(
            title=title.strip(),
            name=found[1] if (found := NAME.search(rest)) else "",
            shown=tuple(shown[1].split()) if (shown := SHOWN.search(rest)) else (),
            method=method,
            path=path,
            headers=dict(header.split(": ", 1) for header in headers),
            body=body.strip(),
        )


def send(request: Request, url: str, key: str) -> tuple[int, str]:
    """Status and text of the answer, refusals too."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **request.headers}
    data = request.body.encode() or None
    prepared = urllib.request.Request(url + request.path, data=data, headers=headers, method=request.method)
    try:
        with urllib.request.urlopen(prepared, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def show(value: object, indent: int = 0) -> str:
    """JSON over as few lines as stay readable."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {show(part, indent + 2)}" for name, part in value.items()]
    else:
        parts = [show(part, indent + 2) for part in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(pad + part for part in parts) + "\n" + " " * indent + closing


def play(text: str, url: str, key: str) -> Iterator[str]:
    mask, ids = Mask(said=text), dict[str, str]()
    for request in read_requests(text):
        path = EARLIER.sub(lambda found: ids[found[1]], request.path)
        status, answer = send(replace(request, path=path), url, key)
        yield f"### {request.title}\n{request.method} {mask(path)}"
        if request.body:
            yield request.body
        yield f"\n→ {status}{mask(told(request, answer))}\n"
        if request.name:
            ids[request.name] = json.loads(answer)["id"]


def told(request: Request, answer: str) -> str:
    """What a transcript says of an answer, after its status."""
    if not answer:
        return ""
    parts = json.loads(answer)
    if not request.shown or "errors" in parts:
        return f"\n{show(parts)}"
    return f", of which\n{show({name: parts[name] for name in request.shown})}"


def main() -> None:
    url = os.environ.get("TROTH_URL", "http://127.0.0.1:8000")
    for line in play(Path(sys.argv[1]).read_text(), url, os.environ["TROTH_KEY"]):
        print(line)


if __name__ == "__main__":
    main()
