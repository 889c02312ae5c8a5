"""Sends orders with segment-analytics-python: python send_segment.py ADDRESS WRITE_KEY ORDERS [CUSTOMERS]"""

from __future__ import annotations

import sys

from segment.analytics import Client


def main(address: str, write_key: str, orders: str, customers: str = "1") -> None:
    client = Client(write_key, host=address, gzip=True, max_retries=20, on_error=lambda error, _: print(error))
    for n in range(int(orders)):
        properties = {"order_id": f"o{n}", "total": n % 2 + 0.5}
        client.track(f"c{n % int(customers)}", "Order Completed", properties, message_id=f"m{n}")
    client.flush()
    client.join()


main(*sys.argv[1:])
