#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two organisers and two fans: what is another's looks exactly like what does not exist, and stays as it is."""
import json

from doors import CAPTURE, ROLES, SEATS, Buyer, Stage, ask, changed, routes, strange_ids
from gatehouse import Server, Stream, Tap, equal, new_id, time_text

tap = Tap()
ROUTES = routes()
OWN = ("hold", "order", "ticket", "session")  # a fan's things; all others are an organiser's
server = Server()
tap.cleanup(server.close)
stage = a = b = other_fan = None


def told(reply):
    """All that an answer says but which request it answers."""
    problem = reply.json
    assert problem.pop("instance"), "an instance"
    headers = sorted((n, v) for n, v in reply.headers.items() if n not in ("Date", "Request-Id", "Content-Length"))
    return reply.status, json.dumps(problem, sort_keys=True), headers, len(reply.body)


def same(seen, unseen, words):
    for one, other in zip(seen, unseen):
        equal(one, other, words)


def both(person, route, foreign, strange, body=None, query=""):
    """The answer for another's id and the answer for nobody's; both must be the same 404."""
    replies = []
    for ids in (foreign, strange):
        path = route.path(ids) + query.format(**ids)
        made = body(ids) if body else a.body(route)
        replies.append(ask(server, person.api.token, route.method, path, made, headers={"If-Match": '"v1"'}))
    seen, unseen = (told(reply) for reply in replies)
    equal(unseen[0], 404, f"{route} with nobody's id, by {person.name}: {replies[1].body[:200]!r}")
    same(seen, unseen, f"{route} by {person.name}: another's id against nobody's")


@tap.test("two tenants with one of every thing, staff of each role and two fans are set up through the API", vital=True)
def _():
    global stage, a, b, other_fan
    stage = Stage(server, ["alpha", "beta"])
    a, b = stage.tenants
    other_fan = Buyer(server, "other@alpha.example", "Other Fan", a.event, (SEATS, SEATS + 1))


def staff_test(role):
    @tap.test(f"{role} of one organiser: each id of the other in each route is the 404 of an id that nobody has")
    def _():
        person, before, tried = a.staff[role], stage.digest(), 0
        for route in ROUTES:
            kinds = [kind for kind in route.captures if kind not in OWN]
            if route.permission == "none" or not kinds:
                continue
            both(person, route, b.ids, strange_ids(event=new_id("evt")), query="?event={event}" if a.query(route) else "")
            tried += 1
        assert tried >= 18, f"only {tried} routes"
        equal(changed(before, stage.digest()), {}, "what changed")


for each_role in ROLES[1:]:
    staff_test(each_role)


@tap.test("a draft of another organiser is the 404 of an id that nobody has, also where events are public")
def _():
    before, public = stage.digest(), [r for r in ROUTES if r.captures == ["event"]]
    assert len(public) >= 8
    for person in [a.staff[role] for role in ROLES[1:]] + [a.fan, stage.nobody]:
        for route in public:
            both(person, route, {"event": b.draft}, {"event": new_id("evt")})
    for route in (r for r in public if r.level == 0):  # and without a session
        replies = [ask(server, None, "GET", route.path({"event": event})) for event in (b.draft, new_id("evt"))]
        same(told(replies[0]), told(replies[1]), str(route))
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("ids of the other organiser inside bodies and queries are those of nobody")
def _():
    person, before = a.staff["organiser"], stage.digest()
    by = {r.handler: r for r in ROUTES}
    post = lambda handler, change: (lambda ids: {**a.body(by[handler]), **change(ids)})  # noqa: E731
    cases = [("plan_post", post("plan_post", lambda ids: {"venue": ids["venue"]}), ""),
             ("event_post", post("event_post", lambda ids: {"venue": ids["venue"]}), ""),
             ("event_post", post("event_post", lambda ids: {"plan": ids["plan"]}), ""),
             ("event_post", post("event_post", lambda ids: {"venue": ids["venue"], "plan": ids["plan"]}), ""),
             ("grant_post", post("grant_post", lambda ids: {"event": ids["event"]}), ""),
             ("organiser_orders_get", None, "?event={event}"), ("organiser_scans_get", None, "?event={event}")]
    for handler, body, query in cases:
        foreign, strange = ({**ids, "organiser": a.organiser} for ids in (b.ids, strange_ids()))
        both(person, by[handler], foreign, strange, body, query)
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("a fan: each hold, order, ticket and session of another fan in each route is that of nobody")
def _():
    before, tried = stage.digest(), 0
    for me in (a.fan, stage.nobody):
        for route in ROUTES:
            if any(kind in OWN for kind in route.captures):
                both(me, route, other_fan.ids, strange_ids())
                tried += 1
        order = next(r for r in ROUTES if r.handler == "order_post")
        both(me, order, other_fan.ids, strange_ids(), lambda ids: {"id": new_id("ord"), "hold": ids["hold"]})
    assert tried >= 18, f"only {tried}"
    for query in ("?ask=yes", "?wait=1&version=1"):
        route = next(r for r in ROUTES if r.handler == "order_get_one")
        both(a.fan, route, other_fan.ids, strange_ids(), query=query)
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("staff, even the owner, have no way to a fan's own routes")
def _():
    before = stage.digest()
    for person in [a.staff[role] for role in ROLES]:
        for route in ROUTES:
            if any(kind in OWN for kind in route.captures):
                both(person, route, a.fan.ids, strange_ids())
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("using another's id for a new thing of one's own takes nothing over")
def _():
    before = stage.digest()
    for path, body in ((f"/api/v1/events/{a.event}/holds", {"id": other_fan.ids["hold"], "places": [30]}),
                       (f"/api/v1/events/{a.event}/holds", {"id": other_fan.ids["hold"], "places": [SEATS + 1]})):
        reply = a.fan.api.post(path, body)
        assert reply.status in (404, 409), f"{reply.status} {reply.body[:200]!r}"
        assert "expires_at" not in reply.body.decode(), "another's hold is shown"
    for id in (other_fan.ids["order"],):
        reply = a.fan.api.post("/api/v1/orders", {"id": id, "hold": a.fan.ids["hold"]})
        assert reply.status in (404, 409), f"{reply.status} {reply.body[:200]!r}"
        reply = a.fan.api.post("/api/v1/orders", {"id": id, "hold": other_fan.bought["id"].replace("ord_", "hld_")})
        assert reply.status in (404, 409), f"{reply.status} {reply.body[:200]!r}"
    organiser = a.staff["organiser"].api
    for handler, id in (("venue_post", b.venue), ("plan_post", b.plan), ("event_post", b.event)):
        route = next(r for r in ROUTES if r.handler == handler)
        reply = organiser.post(route.path(a.ids), {**a.body(route), "id": id})
        assert reply.status in (404, 409), f"{handler}: {reply.status} {reply.body[:200]!r}"
        assert "beta" not in reply.body.decode(), f"{handler}: {reply.body[:300]!r}"
    reply = organiser.post(f"/api/v1/organisers/{a.organiser}/grants", {"id": b.ids["grant"], "mail": stage.grantee.mail, "role": "gate"})
    assert reply.status in (404, 409), f"a grant: {reply.status} {reply.body[:200]!r}"
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("lists hold one's own only, whatever the cursor")
def _():
    theirs = set(b.ids.values()) | {b.draft, b.fan.mail} | {p.grant for r, p in b.staff.items() if r != "owner"}
    allowed = {"organisers_get": ROLES[1:], "venues_get": ROLES[1:], "plans_get": ROLES[1:], "organiser_events_get": ROLES[1:],
               "organiser_orders_get": ["organiser", "box_office"], "organiser_scans_get": ["organiser", "gate", "auditor"],
               "organiser_alerts_get": ["organiser", "gate", "auditor"], "grants_get": ["organiser", "auditor"],
               "devices_get": ["organiser"], "access_records_get": ["organiser", "auditor"]}
    for handler, roles in allowed.items():
        route = next(r for r in ROUTES if r.handler == handler)
        for role in roles:
            path = route.path(a.ids) + (a.query(route) or "?")
            cursors = [""]
            if handler != "grants_get":
                page = stage.owner.api.get((route.path(b.ids) + (b.query(route) or "?") + "&limit=1").replace("?&", "?"), expect=200).json
                cursors += [page["next_cursor"]] if page["next_cursor"] else []
            for cursor in cursors:
                text = a.staff[role].api.get(f"{path}&limit=200{'&cursor=' + cursor if cursor else ''}".replace("?&", "?"),
                                             expect=200).body.decode()
                for id in theirs:
                    assert id not in text, f"{route} by {role} shows {id}"
    mine = {o["id"] for o in a.staff["gate"].api.get("/api/v1/organisers", expect=200).json["data"]}
    equal(mine, {a.organiser}, "organisers of the staff of one")
    every = {o["id"] for o in stage.owner.api.get("/api/v1/organisers", expect=200).json["data"]}
    assert every >= {a.organiser, b.organiser}, "the owner sees all"
    for path, kind in (("/api/v1/orders", "order"), ("/api/v1/tickets", "ticket"), ("/api/v1/account/sessions", "session")):
        for me, another in ((a.fan, other_fan), (other_fan, a.fan), (b.fan, a.fan)):
            text = me.api.get(path, expect=200).body.decode()
            assert me.ids[kind] in text and another.ids[kind] not in text, f"{path} of {me.name}"
    page = stage.owner.api.get("/api/v1/account", expect=200).json
    assert page["account"]["mail"] == stage.owner.mail and a.fan.mail not in json.dumps(page)


@tap.test("the stream of an organiser tells of its own alerts and figures only")
def _():
    stream = Stream(a.staff["auditor"].api, f"/api/v1/organisers/{a.organiser}/stream")
    try:
        for tenant, fan in ((b, b.fan), (a, other_fan)):  # the other's first: had it been told, it would be here first
            event = tenant.make_event(name="Later")
            order = fan.order(fan.hold(event, {"places": [3]}))
            code = fan.api.get(f"/api/v1/tickets/{order['tickets'][0]}/code", expect=200).json["code"]
            equal(tenant.scanner.scan(code)["verdict"], "rejected", "a ticket of another event")
            code = fan.api.get(f"/api/v1/tickets/{fan.ids['ticket']}/code", expect=200).json["code"]
            for _ in range(2):
                tenant.scanner.scan(code)
        stream.wait("an alert of one's own", lambda kind, data: kind == "alert" and data["event"] == a.event, 15)
        text = json.dumps([data for _, _, data in stream.events])
        assert a.event in text and b.event not in text and b.organiser not in text, "alerts of the other organiser"
    finally:
        stream.close()


@tap.test("a role for one event reaches no other event of the same organiser, and nothing of the organiser as such")
def _():
    second = a.make_event(name="Second evening")
    for role in ("organiser", "gate"):
        person = a.hire(role, second)
        before = stage.digest()
        for route in ROUTES:
            if route.captures == ["event"] and route.permission != "none":
                both(person, route, {"event": a.event}, {"event": new_id("evt")})
        for kind, handler in (("alert", "alert_acknowledge_post"), ("device", "device_delete")):
            route = next(r for r in ROUTES if r.handler == handler)
            both(person, route, a.ids, strange_ids())
        for handler in ("venue_post", "event_post", "grant_post", "grants_get", "organiser_orders_get"):
            route = next(r for r in ROUTES if r.handler == handler)
            reply = ask(server, person.api.token, route.method, route.path(a.ids) + a.query(route), a.body(route))
            equal((reply.status, reply.problem), (403, "not_permitted"), f"{route} by {role} of one event")
        equal(changed(before, stage.digest()), {}, "what changed")
        reply = person.api.post(f"/api/v1/events/{second}/devices/enrolments", {"name": "S", "gate": "G"})
        equal(reply.status, 201, f"{role} at its own event")


@tap.test("a role that was taken away or has ended opens nothing any more, in the session that had it")
def _():
    path = f"/api/v1/organisers/{a.organiser}/scans"
    person = a.staff["gate"]
    person.api.get(path, expect=200)
    stage.owner.api.delete(f"/api/v1/grants/{person.grant}", expect=204)
    reply, nobody = (who.api.get(path) for who in (person, stage.nobody))
    same(told(reply), told(nobody), "after the role was taken away")
    briefly, id = stage.world.fan("briefly"), new_id("grt")
    stage.owner.api.post(f"/api/v1/organisers/{a.organiser}/grants",
                         {"id": id, "mail": briefly.mail, "role": "gate", "expires_at": time_text(60)}, expect=201)
    briefly.api.get(path, expect=200)
    server.move_clock(120000)
    same(told(briefly.api.get(path)), told(stage.nobody.api.get(path)), "after the role's end")


@tap.test("scanners: a device of one organiser neither admits nor learns of tickets of the other")
def _():
    code = other_fan.api.get(f"/api/v1/tickets/{other_fan.ids['ticket']}/code", expect=200).json["code"]
    before = server.number("SELECT count(*) AS n FROM scan WHERE admitted = 1")
    answer = b.scanner.scan(code)
    equal((answer["verdict"], answer["ticket"], answer["first"]), ("rejected", None, None), f"{answer}")
    assert other_fan.ids["ticket"] not in json.dumps(answer) and "Stalls" not in json.dumps(answer)
    body = b.scanner.body(code)
    for wrong in ({"device": a.scanner.id}, {"device": new_id("dev")}, {"signature": "A" * 86 + "=="}, {"sequence": 999}):
        reply = b.scanner.api.post("/api/v1/scans", {**body, **wrong})
        assert reply.status in (401, 403, 404), f"{wrong}: {reply.status} {reply.body[:200]!r}"
        assert "ticket" not in reply.json, f"{wrong}: {reply.body!r}"
    forged, absent = (b.scanner.api.post("/api/v1/scans", {**body, "device": id}) for id in (a.scanner.id, new_id("dev")))
    same(told(forged), told(absent), "another's device and nobody's")
    equal(server.number("SELECT count(*) AS n FROM scan WHERE admitted = 1"), before, "admissions")


tap.run()
