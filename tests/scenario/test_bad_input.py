#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What must not be accepted: each case is answered with a 4xx problem, changes no row, and the server goes on."""
import json
import socket

import gatehouse as g

tap = g.Tap()
at = {}
# Rows that time alone adds or ends (sweeps, published entries of other work) are none of these tables.
WATCHED = ("account", "person", "session", "organiser", "venue", "plan", "event", "category", "place", "hold", "sale_order", "order_line",
           "payment", "refund", "posting", "ticket", "scan", "device", "alert", "role_grant", "one_time", "entry",
           "idempotency", "job")


@tap.test("a server with two organisers, staff of each, and a fan", vital=True)
def start():
    at["server"], at["provider"] = g.with_player()
    server = at["server"]
    at["world"] = world = g.World(server)
    at["event"] = world.seated(2, 5)
    at["area_event"] = world.standing(20)
    at["fan"], at["thief"] = world.fan("ada"), world.fan("eve")
    at["second"] = world.make_organiser("second")
    at["staff"] = world.fan("staff")  # of the first organiser only
    world.owner.api.post(f"/api/v1/organisers/{world.organiser}/grants", {
        "id": g.new_id("grt"), "mail": at["staff"].mail, "role": "organiser", "event": None, "expires_at": None}, expect=201)
    at["foreign"] = world.fan("foreign")  # organiser of the second
    world.owner.api.post(f"/api/v1/organisers/{at['second']}/grants", {
        "id": g.new_id("grt"), "mail": at["foreign"].mail, "role": "organiser", "event": None, "expires_at": None}, expect=201)
    at["hold"] = at["fan"].hold(at["event"], {"places": [0]})
    at["order_hold"] = at["fan"].hold(at["event"], {"places": [1]})
    at["order"] = at["fan"].order(at["order_hold"])
    at["scanner"] = g.Scanner(server, g.enrolment(world, at["event"])["token"])


class Unchanged:
    """Nothing watched has another number of rows afterwards, and the server answers."""

    def counts(self):
        found = at["server"].counts()
        return {name: found[name] for name in WATCHED}

    def __enter__(self):
        g.until("settlement rests", lambda: at["fan"].see(at["order"])["checkout_url"], 20)
        self.before = self.counts()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            g.equal(self.counts(), self.before, "rows")
            g.Api(at["server"]).get("/api/v1/status", expect=200)


def refused(reply, statuses, words=""):
    wanted = statuses if isinstance(statuses, tuple) else (statuses,)
    assert reply.status in wanted, f"{words}: {reply.status}, want {statuses}: {reply.body[:400]!r}"
    if reply.body:
        assert reply.headers.get("Content-Type", "").startswith("application/problem+json"), f"{words}: {reply.headers}"
        body = reply.json
        g.equal(body["status"], reply.status, words)
        assert body["type"] and body["title"], body
    return reply


def holds(event=None):
    return f"/api/v1/events/{event or at['event']}/holds"


def new_hold(**more):
    return {"id": g.new_id("hld"), "places": [3], **more}


BAD_JSON = {
    "empty": b"", "no JSON": b"hello", "cut off": b'{"id": "hld_', "an array": b"[]", "a number": b"1", "two values": b"{}{}",
    "a trailing comma": b'{"id": "x",}', "single quotes": b"{'id': 'x'}", "a comment": b'{"id": "x" /* */}',
    "NaN": b'{"id": NaN}', "bad UTF-8": b'{"id": "\xff\xfe"}', "an overlong sequence": b'{"id": "\xc0\x80"}', "a NUL": b'{"id": "\\u0000"}',
    "a lone surrogate": b'{"id": "\\ud800"}', "very deep": b'{"id":' + b"[" * 200 + b"]" * 200 + b"}",
    "a huge number": b'{"id": 1e999}', "a number beyond 64 bits": b'{"id": 99999999999999999999}', "a byte order mark": b'\xef\xbb\xbf{}',
}


@tap.test("bodies that are not the JSON that is taken here")
def bad_json():
    with Unchanged():
        for words, raw in BAD_JSON.items():
            refused(at["fan"].api.call("POST", holds(), raw=raw), 400, words)


@tap.test("members that come twice are refused, whichever of them is good")
def duplicate_keys():
    with Unchanged():
        good, bad = g.new_id("hld"), g.new_id("hld")
        for raw in (f'{{"id":"{good}","id":"{bad}","places":[3]}}', f'{{"id":"{good}","places":[3],"places":[4]}}',
                    f'{{"id":"{good}","pl\\u0061ces":[3],"places":[4]}}'):
            refused(at["fan"].api.call("POST", holds(), raw=raw.encode()), 400, raw)


@tap.test("members that nobody offered are refused: prices, owners, states cannot be assigned")
def mass_assignment():
    with Unchanged():
        for more in ({"price_minor": 1}, {"account": at["thief"].id}, {"status": "ordered"}, {"expires_at": g.time_text(86400)},
                     {"total": {"amount_minor": 0, "currency": "EUR"}}, {"__proto__": {}}, {"": 1}):
            reply = refused(at["fan"].api.post(holds(), new_hold(**more)), 400, str(more))
            g.equal(reply.problem, "unknown_field", str(more))
        body = {"id": g.new_id("ord"), "hold": at["hold"]["id"]}
        for more in ({"amount_minor": 1}, {"currency": "USD"}, {"status": "paid"}, {"account": at["thief"].id}):
            g.equal(refused(at["fan"].api.post("/api/v1/orders", {**body, **more}), 400, str(more)).problem, "unknown_field")
        for more in ({"staff": True}, {"level": 2}, {"grants": []}, {"status": "active"}):
            refused(g.Api(at["server"]).post("/api/v1/accounts", {
                "id": g.new_id("acc"), "mail": "mass@first.example", "name": "M", "password": g.PASSWORD, **more}), 400, str(more))


@tap.test("ids that are malformed, of another kind, or missing")
def bad_ids():
    with Unchanged():
        fine = g.new_id("hld")
        for id in ("", "hld_", fine.upper(), fine[:-1], fine + "0", fine.replace("hld", "ord"), "hld-" + fine[4:], fine[:-1] + "u",
                   "hld_" + "z" * 26, "../" + fine, fine + "\n", 7, None, [fine]):
            refused(at["fan"].api.post(holds(), {"id": id, "places": [3]}), 400, repr(id))
        refused(at["fan"].api.post(holds(), {"places": [3]}), 400, "no id")
        refused(at["fan"].api.post(holds(g.new_id("evt")), new_hold()), 404, "an unknown event")
        refused(at["fan"].api.get(f"/api/v1/holds/{g.new_id('hld')}"), 404, "an unknown hold")
        for path in ("/api/v1/events/evt_x/holds", f"/api/v1/events/{at['hold']['id']}/holds", "/api/v1/events/%00/holds",
                     "/api/v1/events/evt_%2e%2e/holds"):
            refused(at["fan"].api.post(path, new_hold()), (400, 404), path)


@tap.test("the same id with other content is a conflict, with the same content the same answer")
def id_reuse():
    with Unchanged():
        id = at["hold"]["id"]
        again = at["fan"].api.post(holds(), {"id": id, "places": [0]}, expect=201).json
        g.equal((again["id"], [p["place"] for p in again["places"]]), (id, [0]))
        g.equal(refused(at["fan"].api.post(holds(), {"id": id, "places": [3]}), 409).problem, "id_reused")
        refused(at["thief"].api.post(holds(), {"id": id, "places": [0]}), (404, 409), "another account's id")


@tap.test("seats that are not there, held, too many, or named twice")
def bad_seats():
    with Unchanged():
        for places in ([], [-1], [10], [4294967296], [250000], [1.5], ["3"], [None], [3, 3], [0], list(range(5)) * 3, 3, {"0": 3}):
            reply = at["fan"].api.post(holds(), {"id": g.new_id("hld"), "places": places})
            refused(reply, (400, 409), str(places))
        reply = refused(at["thief"].api.post(holds(), {"id": g.new_id("hld"), "places": [3, 0]}), 409)
        g.equal((reply.problem, reply.json["errors"][0]["pointer"]), ("seat_taken", "#/places/1"))
        for best in ({"category": 9, "count": 1}, {"category": 0, "count": 0}, {"category": 0, "count": 51}, {"category": 0}, {"category": -1, "count": 1}, {}):
            refused(at["fan"].api.post(holds(), {"id": g.new_id("hld"), "best": best}), (400, 409), str(best))
        refused(at["fan"].api.post(holds(), {"id": g.new_id("hld"), "best": {"category": 0, "count": 6}}), 409, "more than are side by side")
        for area in ({"area": 5, "count": 1}, {"area": 0, "count": 0}, {"area": 0, "count": 11}):
            refused(at["fan"].api.post(holds(at["area_event"]), {"id": g.new_id("hld"), "area": area}), (400, 409), str(area))
        refused(at["fan"].api.post(holds(), {**new_hold(), "best": {"category": 0, "count": 1}}), 400, "two wishes at once")


@tap.test("too many live holds are refused")
def too_many_holds():
    fan = at["world"].fan("greedy")
    live = [fan.hold(at["area_event"], {"area": {"area": 0, "count": 1}}) for _ in range(5)]
    with Unchanged():
        reply = fan.api.post(holds(at["area_event"]), {"id": g.new_id("hld"), "area": {"area": 0, "count": 1}})
        g.equal(refused(reply, 429).problem, "too_many_holds")
    for hold in live:
        fan.api.delete(f"/api/v1/holds/{hold['id']}", expect=204)


@tap.test("windows: before the sale, after it, draft and closed events sell nothing")
def windows():
    world = at["world"]
    plan = world.make_plan({"areas": [{"name": "Floor", "slots": 5, "category": 0, "color": "#3366cc"}]})
    early = world.make_event(plan, sale_from=g.time_text(600))
    late = world.make_event(plan, sale_from=g.time_text(-7200), sale_until=g.time_text(-60))
    draft = world.make_event(plan, on_sale=False)
    closed = world.make_event(plan)
    world.owner.api.post(f"/api/v1/events/{closed}/status", {"status": "closed"}, expect=200)
    with Unchanged():
        for words, event in (("early", early), ("late", late), ("draft", draft), ("closed", closed)):
            reply = at["fan"].api.post(holds(event), {"id": g.new_id("hld"), "area": {"area": 0, "count": 1}})
            refused(reply, (404, 409), words)
            if reply.status == 409:
                g.equal(reply.problem, "not_on_sale", words)


@tap.test("prices, currencies, times and categories of an event that make no sense")
def bad_events():
    world = at["world"]
    plan = world.make_plan({"areas": [{"name": "Floor", "slots": 5, "category": 0, "color": "#3366cc"}]})
    path = f"/api/v1/organisers/{world.organiser}/events"

    def category(**more):
        return [{"category": 0, "name": "Seat", "color": "#3366cc", "price_minor": 4000, "fee_minor": 250, **more}]
    with Unchanged():
        for more in ({"currency": "XXX"}, {"currency": "eur"}, {"currency": "EU"}, {"currency": 978}, {"categories": category(price_minor=-1)},
                     {"categories": category(price_minor=1.5)}, {"categories": category(price_minor="4000")},
                     {"categories": category(price_minor=10**12)}, {"categories": category(fee_minor=-5)},
                     {"categories": category(color="red")}, {"categories": category(category=7)}, 
                     {"categories": category() + category()}, {"ends_at": g.time_text(60)}, {"doors_at": g.time_text(5 * 3600)},
                     {"sale_until": g.time_text(-86400)}, {"starts_at": "tomorrow"}, {"starts_at": "2026-02-30T10:00:00Z"},
                     {"starts_at": 1790000000}, {"per_order_max": 0}, {"per_order_max": 51}, {"entries_max": 0}, {"name": ""},
                     {"name": "a\u202eb"}, {"name": "x" * 500}, {"plan": g.new_id("pln")}, {"venue": g.new_id("ven")}, {"capacity": 10**6}):
            refused(world.owner.api.post(path, {**world.event_body(plan), **more}), (400, 404, 409), str(more))


@tap.test("an event without a price for each of its places does not go on sale")
def unpriced():
    world = at["world"]
    plan = world.make_plan({"areas": [{"name": "Floor", "slots": 5, "category": 0, "color": "#3366cc"}]})
    draft = world.make_event(plan, on_sale=False, categories=[])
    with Unchanged():
        refused(world.owner.api.post(f"/api/v1/events/{draft}/status", {"status": "on_sale"}), (400, 409))
        refused(world.owner.api.post(f"/api/v1/events/{draft}/status", {"status": "sold"}), 400)


@tap.test("plans that are none, and venues in zones that are not")
def bad_plans():
    world = at["world"]
    path = f"/api/v1/organisers/{world.organiser}/plans"
    with Unchanged():
        good = g.pretix_plan(2, 2)
        for how in ({}, {"source": {}}, {"source": {**good, "more": 1}}, {"source": {**good, "zones": []}}, {"source": good, "areas": []},
                    {"generate": {"kind": "stadium", "seats": 10**9}}, {"generate": {"kind": "cube", "seats": 100}}, {"areas": []},
                    {"areas": [{"name": "F", "slots": 0, "category": 0, "color": "#000000"}]},
                    {"areas": [{"name": "F", "slots": 10**7, "category": 0, "color": "#000000"}]}):
            refused(world.owner.api.post(path, {"id": g.new_id("pln"), "venue": world.venue, "name": "P", **how}), 400, str(how)[:100])
        for zone in ("Mars/Base", "", "../../etc/passwd", "Europe/Berlin\n"):
            refused(world.owner.api.post(f"/api/v1/organisers/{world.organiser}/venues", {
                "id": g.new_id("ven"), "name": "V", "address": "A", "time_zone": zone}), 400, zone)


@tap.test("people: addresses, names and passwords that are not accepted; no account is told apart from none")
def bad_people():
    with Unchanged():
        for more in ({"mail": "no address"}, {"mail": "a@b\r\nBcc: c@d.example"}, {"mail": ""}, {"mail": "a" * 300 + "@b.example"}, {"name": ""},
                     {"name": "a\nb"}, {"password": "short"}, {"password": "password123"}, {"password": "x" * 5000}, {"mail": 7}):
            refused(g.Api(at["server"]).post("/api/v1/accounts", {
                "id": g.new_id("acc"), "mail": "new@first.example", "name": "N", "password": g.PASSWORD, **more}), (400, 413), str(more)[:80])
        refused(g.Api(at["server"]).post("/api/v1/accounts", {
            "id": g.new_id("acc"), "mail": at["fan"].mail.upper(), "name": "N", "password": g.PASSWORD}), 409, "an address that is taken")
        answers = []
        for mail, password in ((at["fan"].mail, "wrong password 1"), ("nobody@first.example", "wrong password 1")):
            reply = refused(g.Api(at["server"]).post("/api/v1/sessions", {"mail": mail, "password": password}), 401)
            body = reply.json
            body.pop("instance", None)
            answers.append(body)
        g.equal(answers[0], answers[1], "what a stranger learns")


@tap.test("second factors: wrong, used and malformed codes")
def bad_codes():
    fan = at["world"].fan("codes")
    api = g.Api(at["server"])
    api.token = api.post("/api/v1/sessions", {"mail": fan.mail, "password": g.PASSWORD}, expect=200).json["token"]
    used = g.totp(fan.secret, at=fan.step * 30)
    for code in (used, "", "12345", "1234567", "abcdef", "１２３４５６", 123456, None):
        refused(api.post("/api/v1/sessions/totp", {"code": code}), (400, 401, 429), repr(code))
    g.equal(api.get("/api/v1/account", expect=200).json["level"], 1)


@tap.test("without a session, with a wrong one, with one of level 1: nothing")
def sessions():
    with Unchanged():
        paths = [("POST", holds(), new_hold()), ("GET", "/api/v1/orders", None), ("GET", "/api/v1/tickets", None),
                 ("POST", "/api/v1/organisers", {"id": g.new_id("org"), "name": "X", "slug": "x"})]
        for token in (None, "nonsense", "A" * 43, at["fan"].api.token[:-1] + ("A" if at["fan"].api.token[-1] != "A" else "B")):
            for method, path, body in paths:
                refused(g.Api(at["server"], token).call(method, path, body), 401, f"{token} {path}")


@tap.test("a fan may do nothing that staff may")
def no_staff():
    organiser, event = at["world"].organiser, at["event"]
    with Unchanged():
        for method, path, body in (
                ("POST", "/api/v1/organisers", {"id": g.new_id("org"), "name": "X", "slug": "x"}),
                ("POST", f"/api/v1/organisers/{organiser}/venues", {"id": g.new_id("ven"), "name": "V", "address": "A", "time_zone": "UTC"}),
                ("POST", f"/api/v1/organisers/{organiser}/grants", {"id": g.new_id("grt"), "mail": at["fan"].mail, "role": "organiser",
                                                                     "event": None, "expires_at": None}),
                ("POST", f"/api/v1/events/{event}/status", {"status": "closed"}),
                ("POST", f"/api/v1/events/{event}/devices/enrolments", {"name": "S", "gate": "G"}),
                ("GET", f"/api/v1/organisers/{organiser}/orders?event={event}", None),
                ("GET", f"/api/v1/organisers/{organiser}/alerts", None),
                ("GET", f"/api/v1/organisers/{organiser}/stream", None),
                ("DELETE", f"/api/v1/devices/{at['scanner'].id}", None)):
            refused(at["fan"].api.call(method, path, body), (403, 404), path)


@tap.test("another tenant's things are not found, whoever asks")
def tenants():
    world = at["world"]
    with Unchanged():
        api = at["foreign"].api
        own = at["staff"].api
        own.get(f"/api/v1/organisers/{world.organiser}/venues", expect=200)
        for method, path, body in (
                ("GET", f"/api/v1/organisers/{world.organiser}/venues", None),
                ("GET", f"/api/v1/organisers/{world.organiser}/orders?event={at['event']}", None),
                ("GET", f"/api/v1/organisers/{world.organiser}/scans?event={at['event']}", None),
                ("GET", f"/api/v1/organisers/{world.organiser}/alerts", None),
                ("GET", f"/api/v1/organisers/{world.organiser}/stream", None),
                ("GET", f"/api/v1/organisers/{world.organiser}/grants", None),
                ("GET", f"/api/v1/events/{at['event']}/devices", None),
                ("POST", f"/api/v1/events/{at['event']}/devices/enrolments", {"name": "S", "gate": "G"}),
                ("POST", f"/api/v1/events/{at['event']}/status", {"status": "closed"}),
                ("POST", f"/api/v1/organisers/{world.organiser}/venues", {"id": g.new_id("ven"), "name": "V", "address": "A", "time_zone": "UTC"}),
                ("DELETE", f"/api/v1/devices/{at['scanner'].id}", None)):
            refused(api.call(method, path, body), 404, path)
        # In one's own organiser, with another's venue and plan.
        reply = api.post(f"/api/v1/organisers/{at['second']}/plans", {
            "id": g.new_id("pln"), "venue": world.venue, "name": "P", "areas": [{"name": "Floor", "slots": 5, "category": 0, "color": "#3366cc"}]})
        refused(reply, 404, "another tenant's venue")
        reply = own.get(f"/api/v1/organisers/{world.organiser}/orders?event={g.new_id('evt')}")
        refused(reply, 404, "an event that is not there")


@tap.test("other people's holds and orders are not found")
def other_people():
    with Unchanged():
        api = at["thief"].api
        for method, path, body in (("GET", f"/api/v1/holds/{at['hold']['id']}", None), ("DELETE", f"/api/v1/holds/{at['hold']['id']}", None),
                                   ("POST", f"/api/v1/holds/{at['hold']['id']}/refresh", None),
                                   ("GET", f"/api/v1/orders/{at['order']['id']}", None),
                                   ("POST", f"/api/v1/orders/{at['order']['id']}/cancel", None),
                                   ("POST", "/api/v1/orders", {"id": g.new_id("ord"), "hold": at["hold"]["id"]})):
            refused(api.call(method, path, body), 404, path)


@tap.test("an Idempotency-Key gives the stored answer again; with another request it is 422")
def idempotency():
    key, body = "key-" + g.new_id("job"), {"id": g.new_id("hld"), "area": {"area": 0, "count": 1}}
    first = at["fan"].api.post(holds(at["area_event"]), body, headers={"Idempotency-Key": key}, expect=201)
    with Unchanged():
        again = at["fan"].api.post(holds(at["area_event"]), body, headers={"Idempotency-Key": key}, expect=201)
        g.equal(again.body, first.body)
        again = at["fan"].api.post(holds(at["area_event"]), body, headers={"Idempotency-Key": f'"{key}"'}, expect=201)
        g.equal(again.body, first.body, "quoted")
        other = {**body, "area": {"area": 0, "count": 2}}
        g.equal(refused(at["fan"].api.post(holds(at["area_event"]), other, headers={"Idempotency-Key": key}), 422).problem,
                "idempotency_key_reused")
        for bad in ("", "x" * 256, "a b", "a\tb"):
            refused(at["fan"].api.post(holds(), new_hold(), headers={"Idempotency-Key": bad}), 400, repr(bad))
    # Another person's key of the same text is another key.
    mine = {"id": g.new_id("hld"), "area": {"area": 0, "count": 1}}
    got = at["thief"].api.post(holds(at["area_event"]), mine, headers={"Idempotency-Key": key}, expect=201).json
    g.equal(got["id"], mine["id"])


@tap.test("writes with the cookie are taken from our own pages only")
def cross_origin():
    cookie = "gatehouse-dev=" + at["fan"].api.token
    own = at["server"].origin

    def write(**headers):
        return g.Api(at["server"]).post(holds(), new_hold(), headers={"Cookie": cookie, **headers})
    with Unchanged():
        for words, headers in {"no origin": {}, "another": {"Origin": "https://evil.example"}, "null": {"Origin": "null"},
                               "a port beside": {"Origin": own + "0"}, "a suffix": {"Origin": own + ".evil.example"},
                               "https": {"Origin": own.replace("http:", "https:")},
                               "cross-site": {"Origin": own, "Sec-Fetch-Site": "cross-site"},
                               "same-site": {"Origin": own, "Sec-Fetch-Site": "same-site"}}.items():
            g.equal(refused(write(**headers), 403, words).problem, "cross_origin", words)
    reply = write(Origin=own, **{"Sec-Fetch-Site": "same-origin"})
    g.equal(reply.status, 201, reply.body)
    g.Api(at["server"]).delete(f"/api/v1/holds/{reply.json['id']}", headers={"Cookie": cookie, "Origin": own}, expect=204)
    reply = g.Api(at["server"]).call("GET", "/api/v1/orders", headers={"Origin": "https://evil.example", "Cookie": cookie})
    assert reply.headers.get("Access-Control-Allow-Origin") is None, "no other origin may read"


@tap.test("media types, methods and paths that are not served")
def doors():
    with Unchanged():
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
            refused(at["fan"].api.call("POST", holds(), raw=json.dumps(new_hold()).encode(), headers={"Content-Type": kind}), (400, 415), str(kind))
        refused(at["fan"].api.call("PUT", holds()), 405)
        refused(at["fan"].api.call("PUT", holds(), {}), (405, 413))
        refused(at["fan"].api.call("DELETE", "/api/v1/orders"), 405)
        refused(at["fan"].api.get("/api/v1/nothing"), 404)
        refused(at["fan"].api.get("/api/v1/orders?limit=0"), 400)
        refused(at["fan"].api.get("/api/v1/orders?limit=1000"), 400)
        refused(at["fan"].api.get("/api/v1/orders?cursor=nonsense"), 400)
        refused(at["fan"].api.post(holds(), {**new_hold(), "id": "x" * 5000}), 413, "a body beyond its limit")


def raw_exchange(data, timeout_s=5.0):
    with socket.create_connection(("127.0.0.1", at["server"].port), timeout_s) as s:
        s.sendall(data)
        got = b""
        s.settimeout(timeout_s)
        try:
            while chunk := s.recv(65536):
                got += chunk
        except (socket.timeout, ConnectionResetError):
            pass
        return got


@tap.test("requests that two servers could read differently are refused and the connection is closed")
def smuggling():
    host = f"Host: 127.0.0.1:{at['server'].port}\r\n".encode()
    hidden = b"GET /api/v1/status HTTP/1.1\r\n" + host + b"\r\n"
    with Unchanged():
        for words, head in {
                "both lengths": b"POST /api/v1/orders HTTP/1.1\r\n" + host + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "chunked": b"POST /api/v1/orders HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "two lengths": b"POST /api/v1/orders HTTP/1.1\r\n" + host + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
                "two hosts": b"GET / HTTP/1.1\r\n" + host + host + b"\r\n",
                "no host": b"GET / HTTP/1.1\r\n\r\n",
                "bare LF": b"GET / HTTP/1.1\n" + host + b"\r\n",
                "folding": b"GET / HTTP/1.1\r\n" + host + b"X: a\r\n b\r\n\r\n",
                "a space before the colon": b"GET / HTTP/1.1\r\n" + host + b"Content-Length : 0\r\n\r\n",
                "a NUL": b"GET /\0 HTTP/1.1\r\n" + host + b"\r\n",
                "an absolute target": b"GET http://evil.example/ HTTP/1.1\r\n" + host + b"\r\n"}.items():
            got = raw_exchange(head + hidden)
            assert got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), f"{words}: {got[:100]!r}"
            g.equal(got.count(b"HTTP/1.1 "), 1, f"answers to {words}")


@tap.test("a head and a header that are too long, too many headers")
def too_long():
    host = f"Host: 127.0.0.1:{at['server'].port}\r\n".encode()
    for words, data in {"target": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n",
                        "header": b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 20000 + b"\r\n\r\n",
                        "headers": b"GET / HTTP/1.1\r\n" + host + b"".join(b"X-%d: 1\r\n" % i for i in range(200)) + b"\r\n"}.items():
        got = raw_exchange(data)
        assert got.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 400")), f"{words}: {got[:60]!r}"


@tap.test("scans: malformed bodies, unknown devices, numbers out of range")
def bad_scans():
    with Unchanged():
        good = at["scanner"].body("GH1:X", sequence=1)
        for more in ({"device": g.new_id("dev")}, {"sequence": 0}, {"sequence": -1}, {"sequence": 2**63}, {"scanned_at": "now"},
                     {"code": "x" * 2000}, {"signature": "AAAA"}, {"signature": good["signature"][::-1]}, {"admitted": True}, {"code": None}):
            refused(at["scanner"].api.post("/api/v1/scans", {**good, **more}), (400, 401, 403, 404, 413), str(more)[:60])


@tap.test("the server that took all this is sound and ends well")
def sound():
    g.until("every entry is published", lambda: at["server"].ledger("verify")[1]["entries"] == at["server"].number("SELECT count(*) FROM entry"))
    g.equal(at["server"].stop(), 0)
    at["server"].sound()


@tap.cleanup
def clean():
    for name in ("provider", "server"):
        if name in at:
            at[name].close()


tap.run()
