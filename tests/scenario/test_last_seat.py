#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two hundred people want the last seat at the same moment: one gets it."""
import collections

import gatehouse as g

BUYERS = 200
tap = g.Tap()
at = {}


@tap.test("a server, an event with one place left, and its buyers", vital=True)
def start():
    at["server"], at["provider"] = g.with_player()
    at["world"] = g.World(at["server"])
    at["event"] = at["world"].seated(1, 3)
    at["first"] = at["world"].fan("first")
    at["first"].hold(at["event"], {"places": [0, 1]})
    at["fans"] = [at["world"].fan(f"fan{i}") for i in range(BUYERS)]


def race(wish):
    def job(fan):
        return lambda: fan.api.post(f"/api/v1/events/{at['event']}/holds", {"id": g.new_id("hld"), **wish})
    replies = g.all_at_once([job(fan) for fan in at["fans"]])
    for reply in replies:
        assert isinstance(reply, g.Reply), repr(reply)
    return replies


@tap.test("one of 200 gets the named seat, 199 are told that it is taken")
def named():
    replies = race({"places": [2]})
    counts = collections.Counter((r.status, r.problem) for r in replies)
    g.equal(counts, {(201, ""): 1, (409, "seat_taken"): BUYERS - 1})
    pointers = {r.json["errors"][0]["pointer"] for r in replies if r.status == 409}
    g.equal(pointers, {"#/places/0"}, "which seat was taken")
    at["hold"] = next(r.json for r in replies if r.status == 201)
    at["winner"] = next(fan for fan, r in zip(at["fans"], replies) if r.status == 201)


@tap.test("released, it is raced for as best available: again one")
def best():
    at["winner"].api.delete(f"/api/v1/holds/{at['hold']['id']}", expect=204)
    replies = race({"best": {"category": 0, "count": 1}})
    counts = collections.Counter((r.status, r.problem) for r in replies)
    g.equal(counts, {(201, ""): 1, (409, "none_left"): BUYERS - 1})
    at["hold"] = next(r.json for r in replies if r.status == 201)
    at["winner"] = next(fan for fan, r in zip(at["fans"], replies) if r.status == 201)


@tap.test("20 orders of one hold at once make one order")
def one_order():
    bodies = [{"id": g.new_id("ord"), "hold": at["hold"]["id"]} for _ in range(20)]
    apis = [g.Api(at["server"], at["winner"].api.token) for _ in bodies]
    replies = g.all_at_once([(lambda a=a, b=b: a.post("/api/v1/orders", b)) for a, b in zip(apis, bodies)])
    g.equal(sorted(r.status for r in replies), [201] + [409] * (len(bodies) - 1))
    at["order"] = next(r.json for r in replies if r.status == 201)
    g.equal(at["server"].number("SELECT count(*) FROM sale_order"), 1)


@tap.test("an expired hold frees its seats in that moment, and the seat is sold once")
def expired():
    at["server"].move_clock(10 * 60 * 1000 + 1000)
    fan = at["fans"][0] if at["fans"][0] is not at["winner"] else at["fans"][1]
    fan.hold(at["event"], {"places": [0, 1]})
    reply = fan.api.post(f"/api/v1/events/{at['event']}/holds", {"id": g.new_id("hld"), "places": [2]})
    g.equal((reply.status, reply.problem), (409, "seat_taken"))


@tap.test("the audit is clean")
def sound():
    at["server"].stop()
    at["server"].sound()
    g.equal(at["server"].number("SELECT count(*) FROM place WHERE state = 2"), 1)


@tap.cleanup
def clean():
    if "server" in at:
        at["server"].close()
        at["provider"].close()


tap.run()
