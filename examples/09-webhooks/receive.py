"""A receiver of webhooks on the standard library alone: take the message, verify it, answer, then act.

    TROTH_WEBHOOKS_PRIVATE=on ./dev run        # this receiver is at a loopback address, which is refused otherwise
    TROTH_KEY=$(cat .troth/first.key) python3 examples/09-webhooks/receive.py

In: TROTH_KEY, TROTH_URL (default http://127.0.0.1:8000). It adds a webhook for itself, sends a purchase, shows what
comes because of it and deletes the webhook again. The libraries called standardwebhooks do what `verify` does here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import queue
import threading
import time
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TROTH = os.environ.get("TROTH_URL", "http://127.0.0.1:8000")
TOPICS = ["customer.created", "points.earned"]
came: queue.Queue[dict[str, object]] = queue.Queue()
secrets: list[str] = []  # ours; during a rotation the messages carry a signature for each


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Standard Webhooks: HMAC-SHA256 over id, time and the very bytes that came; no older than five minutes."""
    moment = headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{moment}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    is_ours = any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split(" "))
    return is_ours and abs(time.time() - int(moment)) < 300


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        is_ours = any(verify(secret, self.headers, body) for secret in secrets)
        self.send_response(204 if is_ours else 401)
        self.end_headers()
        if is_ours:
            came.put(json.loads(body))  # act behind the answer, and once per id: a message may come twice

    def log_message(self, *_: object) -> None:
        pass


def call(method: str, path: str, body: object = None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {os.environ['TROTH_KEY']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(TROTH + path, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"{}")


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hooks"
    webhook = call("POST", "/v1/webhooks", {"url": url, "topics": TOPICS, "description": "example"})
    secrets.append(str(webhook["secret"]))
    purchase = {"amount": "125.00", "order_id": "order-w1"}
    call("POST", "/v1/events", {"customer": "wendy", "type": "purchase", "reference": "w1", "properties": purchase})
    messages = sorted((came.get(timeout=30) for _ in TOPICS), key=lambda message: str(message["type"]))
    for message in messages:
        print(json.dumps(message, indent=2))
    call("DELETE", f"/v1/webhooks/{webhook['id']}")


if __name__ == "__main__":
    main()
