#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, again and again: what was acknowledged is there after the restart, nothing is half done, and the log has
never forked. ROUNDS in the environment says how often (100)."""
import http.client
import os
import random
import threading
import time

import gatehouse as g

ROUNDS = int(os.environ.get("ROUNDS", "100"))
BUYERS = 12
FREE_SHARE = 0.7
tap = g.Tap()
at = {"acknowledged": {}, "paid": set(), "violations": [], "heads": []}


@tap.test("a server, events with and without a price, buyers", vital=True)
def start():
    at["server"], at["provider"] = g.with_player()
    at["world"] = g.World(at["server"])
    free = [{"category": 0, "name": "Free", "color": "#3366cc", "price_minor": 0, "fee_minor": 0}]
    at["free"] = at["world"].standing(60000, categories=free)
    at["priced"] = at["world"].standing(60000)
    at["fans"] = [at["world"].fan(f"fan{i}") for i in range(BUYERS)]
    for fan in at["fans"]:
        fan.begun = None


class Buyer(threading.Thread):
    """Buys until the server is gone. Notes an order only when its answer was complete."""

    def __init__(self, fan):
        super().__init__()
        self.fan, self.api, self.done = fan, g.Api(at["server"], fan.api.token), 0

    def run(self):
        try:
            while True:
                self.buy()
        except (OSError, http.client.HTTPException):
            pass
        except Exception as error:  # noqa: BLE001: reported by the round
            at["violations"].append(repr(error))
        finally:
            self.api.close()

    def choose(self):
        event = at["free"] if random.random() < FREE_SHARE else at["priced"]
        return event, random.choice((1, 2, 3)), g.new_id("hld"), g.new_id("ord")

    def buy(self):
        # What the last kill cut off is asked again with the same ids, wherever it was cut: it happens once.
        event, count, hold, order = self.fan.begun = self.fan.begun or self.choose()
        self.api.post(f"/api/v1/events/{event}/holds", {"id": hold, "area": {"area": 0, "count": count}}, expect=201)
        reply = self.api.post("/api/v1/orders", {"id": order, "hold": hold})
        if reply.problem == "too_many_orders":
            self.give_up()
            return
        g.equal(reply.status, 201, "an order")
        answer = reply.json
        self.fan.begun = None
        at["acknowledged"][order] = count
        if answer["status"] == "paid":
            at["paid"].add(order)
        elif random.random() < 0.5:
            self.pay(order, answer)
        self.done += 1

    def give_up(self):
        """Cancel what waits for its payment; the places are free when the provider has said so."""
        for order in self.api.get("/api/v1/orders?limit=50", expect=200).json["data"]:
            if order["status"] == "awaiting_payment" and not order["cancelling"]:
                self.api.post(f"/api/v1/orders/{order['id']}/cancel")

    def pay(self, order, answer):
        answer = self.api.get(f"/api/v1/orders/{order}?wait=5&version={answer['version']}", expect=200).json
        if answer["checkout_url"]:
            session = at["provider"].charge(answer["checkout_url"])
            if at["provider"].tell(at["server"], session).status < 300:
                at["paid"].add(order)


def rows():
    return {
        row["id"]: row for row in at["server"].sql(
            "WITH p AS (SELECT order_id, count(*) AS n FROM place WHERE state = 2 GROUP BY order_id)"
            " SELECT lower(hex(o.id)) AS id, o.status AS status,"
            " (SELECT count(*) FROM order_line l WHERE l.order_id = o.id) AS lines,"
            " (SELECT count(*) FROM order_line l CROSS JOIN ticket t WHERE l.order_id = o.id AND t.event_no = o.event_no"
            " AND t.place_no = l.place_no AND t.order_id = o.id AND t.status = 'valid') AS tickets,"
            " coalesce(p.n, 0) AS ordered FROM sale_order o LEFT JOIN p ON p.order_id = o.id")}


def check_rows():
    """Nothing acknowledged is missing; no order is half one thing and half another."""
    found = rows()
    for order, count in at["acknowledged"].items():
        row = found.get(g.id_bytes(order).hex())
        if row is None:
            at["violations"].append(f"{order} was acknowledged and is missing")
        elif order in at["paid"] and (row["status"] != "paid" or row["tickets"] != count):
            at["violations"].append(f"{order} was acknowledged as paid and is {row}")
    for row in found.values():
        whole = row["tickets"] == row["lines"] and row["ordered"] == 0 if row["status"] == "paid" else \
            row["tickets"] == 0 and row["ordered"] == (row["lines"] if row["status"] == "awaiting_payment" else 0)
        if not whole:
            at["violations"].append(f"half done: {row}")


def check_head():
    """The signed head never shrinks."""
    path = at["server"].data / "log/checkpoint"
    size = int(path.read_text().splitlines()[1]) if path.exists() else 0
    if at["heads"] and size < at["heads"][-1]:
        at["violations"].append(f"the log shrank from {at['heads'][-1]} to {size}")
    at["heads"].append(size)


def one_round():
    buyers = [Buyer(fan) for fan in at["fans"]]
    for buyer in buyers:
        buyer.start()
    time.sleep(random.uniform(0.02, 0.5))
    at["server"].kill()
    for buyer in buyers:
        buyer.join()
    at["server"].start()
    return sum(buyer.done for buyer in buyers)


@tap.test(f"kill -9 under load, {ROUNDS} times: every start comes up and sales go on", vital=True)
def rounds():
    sales, began = 0, time.monotonic()
    for number in range(ROUNDS):
        sales += one_round()
        check_head()
        if number % 10 == 9:
            check_rows()
        assert not at["violations"], f"round {number + 1}: {at['violations'][:5]}"
    print(f"# {ROUNDS} kills, {sales} orders acknowledged, {len(at['paid'])} paid, {time.monotonic() - began:.0f} s")
    assert sales >= ROUNDS, f"only {sales} orders were acknowledged"


@tap.test("no acknowledged order is missing, nothing is half done")
def nothing_missing():
    check_rows()
    assert not at["violations"], at["violations"][:10]
    assert at["acknowledged"]


@tap.test("paid sessions whose webhook was lost are settled by asking")
def settled():
    charged = {s["client_reference_id"] for s in at["provider"].sessions.values() if s["status"] == "complete"}

    def all_paid():
        paid = {row["id"] for row in at["server"].sql("SELECT lower(hex(id)) AS id FROM payment WHERE state = 'captured'")}
        return all(g.id_bytes(ref).hex() in paid for ref in charged)
    at["server"].move_clock(61 * 1000)  # an open session is asked about every minute
    g.until("every charge has its tickets", all_paid, 120, 0.5)


@tap.test("the log never shrank, verifies, and the audit is clean")
def sound():
    assert at["heads"] == sorted(at["heads"])
    at["server"].stop()
    at["server"].sound()


@tap.cleanup
def clean():
    for name in ("provider", "server"):
        if name in at:
            at[name].close()


tap.run()
