#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A ticket key is rotated: old tickets go on admitting, new ones are signed by the new key, and the ledger knows."""
import gatehouse as g

tap = g.Tap()
at = {}


def ticket_of(fan):
    hold = fan.hold(at["event"], {"area": {"area": 0, "count": 1}})
    order = fan.order(hold)
    g.equal(order["status"], "paid", "a free order")
    return order["tickets"][0]


def code_of(fan, ticket):
    return fan.api.get(f"/api/v1/tickets/{ticket}/code", expect=200).json["code"]


@tap.test("a server with a free event whose doors are open, and a ticket", vital=True)
def start():
    at["server"] = g.Server()
    tap.cleanup(at["server"].close)
    at["world"] = g.World(at["server"])
    at["event"] = at["world"].standing(10, categories=[
        {"category": 0, "name": "Standing", "color": "#336699", "price_minor": 0, "fee_minor": 0}])
    at["fan"] = at["world"].fan("fan")
    at["keys"] = f"/api/v1/organisers/{at['world'].organiser}/ticket_keys"
    at["ticket"] = ticket_of(at["fan"])
    at["code"] = code_of(at["fan"], at["ticket"])


@tap.test("the owner rotates the key; the same request again makes no third one")
def rotate():
    owner = at["world"].owner.api
    first = owner.get(at["keys"], expect=200).json["data"]
    g.equal([k["signs"] for k in first], [True])
    made = owner.post(at["keys"], headers={"Idempotency-Key": "rotate-1"}, expect=201).json
    again = owner.post(at["keys"], headers={"Idempotency-Key": "rotate-1"}, expect=201).json
    g.equal(again, made)
    keys = owner.get(at["keys"], expect=200).json["data"]
    g.equal([(k["kid"], k["signs"]) for k in keys], [(made["kid"], True), (first[0]["kid"], False)])


@tap.test("a fan may neither see nor rotate keys")
def refused():
    at["fan"].api.get(at["keys"], expect=404)
    at["fan"].api.post(at["keys"], expect=404)


@tap.test("the old ticket keeps its code, a new one has the new key, and both are admitted")
def admitted():
    g.equal(code_of(at["fan"], at["ticket"]), at["code"], "the code of the old ticket")
    fresh = code_of(at["fan"], ticket_of(at["fan"]))
    scanner = g.Scanner(at["server"], g.enrolment(at["world"], at["event"])["token"])
    for code in (at["code"], fresh):
        g.equal(scanner.scan(code)["verdict"], "admitted")


@tap.test("the log verifies and the audit is clean")
def sound():
    at["server"].sound()


tap.run()
