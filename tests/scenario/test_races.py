#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests whose last bytes arrive together: of what there is one, one gets it, and the others are told so.

Each request waits complete but for its last byte on a connection of its own; then all the last bytes are sent.
"""
import base64
import collections
import json
import os
import random
import socket
import subprocess
import threading
import time

from doors import FREE, Stage
from gatehouse import PASSWORD, SLOW, Api, Reply, Scanner, Server, Tap, enrolment, equal, id_bytes, new_id, totp, until

tap = Tap()
MANY, DEVICES, ROUNDS = 30, 20, 40
server = Server()
tap.cleanup(server.close)
rng = random.Random(os.environ.get("GATEHOUSE_TEST_SEED", "races"))
stage = tenant = None
fans, scanners = [], []


# ---- last bytes that arrive together ----------------------------------------------------------------------------------------------

class Line:
    """A connection that is kept."""

    def __init__(self, to):
        self.socket = socket.create_connection(("127.0.0.1", to.port), timeout=30 * SLOW)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def load(self, method, path, body, token, headers):
        head = {"Host": "x", "Gatehouse-Token": "yes", **({"Authorization": "Bearer " + token} if token else {}), **headers}
        raw = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            head["Content-Type"] = "application/json"
        if method != "GET":
            head["Content-Length"] = str(len(raw))
        text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in head.items()) + "\r\n"
        whole = text.encode() + raw
        self.socket.sendall(whole[:-1])
        self.last = whole[-1:]

    def fire(self):
        self.socket.sendall(self.last)

    def answer(self):
        status, headers = int(self.file.readline().split()[1]), {}
        while (line := self.file.readline().decode().rstrip("\r\n")):
            name, value = line.split(": ", 1)
            headers[name] = value
        return Reply(status, headers, self.file.read(int(headers.get("Content-Length", "0"))))

    def close(self):
        self.file.close()
        self.socket.close()


lines = {}


def together(requests, to=None):
    """The answers, in the order of the requests: (method, path, body, token[, headers])."""
    to = to or server
    kept = lines.setdefault(to.process, [])
    while len(kept) < len(requests):
        kept.append(Line(to))
    used = kept[:len(requests)]
    for line, (method, path, body, token, *more) in zip(used, requests):
        line.load(method, path, body, token, more[0] if more else {})
    order = list(used)
    rng.shuffle(order)
    for line in order:
        line.fire()
    return [line.answer() for line in used]


def hang_up():
    for kept in lines.values():
        for line in kept:
            line.close()
    lines.clear()


tap.cleanup(hang_up)


def tally(replies):
    """{status: how many}, {problem: how many}"""
    return (dict(collections.Counter(r.status for r in replies)),
            dict(collections.Counter(r.problem for r in replies if r.status >= 400)))


def winner(replies, status, refusal, word, words=""):
    """The one answer with the status; all others are the refusal."""
    want = ({status: 1, refusal: len(replies) - 1}, {word: len(replies) - 1})
    equal(tally(replies), want, words)
    return next(i for i, r in enumerate(replies) if r.status == status)


def alike(replies, status):
    equal(tally(replies)[0], {status: len(replies)}, f"statuses, {replies[0].body[:200]!r}")
    for reply in replies:
        equal(reply.body, replies[0].body, "different answers")


def rows(table, where="1"):
    return server.number(f"SELECT count(*) AS n FROM {table} WHERE {where}")


def is_id(id):
    return "x'" + id_bytes(id).hex() + "'"


# ---- seats --------------------------------------------------------------------------------------------------------------------------

@tap.test(f"a tenant, {MANY} fans and {DEVICES} scanners are set up through the API", vital=True)
def _():
    global stage, tenant
    stage = Stage(server, ["alpha"])
    tenant = stage.tenants[0]
    fans.extend(stage.world.fan(f"fan{i}") for i in range(MANY))


@tap.test(f"{MANY} requests of {MANY} fans for one seat, {ROUNDS} times: one 201, all others 409 seat_taken")
def _():
    event = stage.world.seated(4, 10, categories=FREE)
    path, winners = f"/api/v1/events/{event}/holds", collections.Counter()
    for place in range(ROUNDS):
        ids = [new_id("hld") for _ in fans]
        replies = together([("POST", path, {"id": id, "places": [place]}, fan.api.token) for id, fan in zip(ids, fans)])
        won = winner(replies, 201, 409, "seat_taken", f"place {place}")
        winners[won] += 1
        for i, reply in enumerate(replies):
            if i != won:
                equal(reply.json["errors"][0]["pointer"], "#/places/0", "the seat that was taken")
        equal(rows("hold", "status='live' AND id IN (" + ",".join(map(is_id, ids)) + ")"), 1, "live holds")
        equal(rows("hold", "id IN (" + ",".join(map(is_id, ids)) + ")"), 1, "holds")
        fans[won].api.delete(f"/api/v1/holds/{ids[won]}", expect=204)
    print(f"# {len(winners)} different fans won {ROUNDS} rounds")
    assert len(winners) > 3, "the race is always won by the same connection: it is none"


@tap.test("wishes that overlap, 15 times: all or none, and no seat is promised twice")
def _():
    event = stage.world.seated(1, 12, categories=FREE)
    path = f"/api/v1/events/{event}/holds"
    for _ in range(15):
        wishes = [rng.sample(range(12), rng.randint(1, 5)) for _ in fans]
        replies = together([("POST", path, {"id": new_id("hld"), "places": wish}, fan.api.token) for wish, fan in zip(wishes, fans)])
        given = [place for reply in replies if reply.status == 201 for place in (p["place"] for p in reply.json["places"])]
        equal(len(given), len(set(given)), "a seat was given twice")
        assert set(tally(replies)[0]) == {201, 409}, tally(replies)
        for wish, reply in zip(wishes, replies):
            if reply.status == 201:
                equal(sorted(p["place"] for p in reply.json["places"]), sorted(wish), "all that was asked for")
            else:
                assert any(place in given for place in wish), "refused though every seat was free"
        equal(rows("place", f"state=1 AND hold_id IN (SELECT id FROM hold WHERE status='live') AND event_no="
                            f"(SELECT event_no FROM event WHERE id={is_id(event)})"), len(given), "places held")
        for fan, reply in zip(fans, replies):
            if reply.status == 201:
                fan.api.delete(f"/api/v1/holds/{reply.json['id']}", expect=204)


@tap.test(f"seven slots of an area and {MANY} fans who want two: three get them, one slot is left")
def _():
    event = stage.world.standing(7, categories=FREE)
    for best in ({"area": {"area": 0, "count": 2}}, {"best": {"category": 0, "count": 2}}):
        replies = together([("POST", f"/api/v1/events/{event}/holds", {"id": new_id("hld"), **best}, fan.api.token) for fan in fans])
        equal(tally(replies), ({201: 3, 409: MANY - 3}, {"none_left": MANY - 3}), str(best))
        for fan, reply in zip(fans, replies):
            if reply.status == 201:
                fan.api.delete(f"/api/v1/holds/{reply.json['id']}", expect=204)


@tap.test("one account that asks for thirty seats at once has the holds it may have, not one more")
def _():
    event = stage.world.seated(2, 20, categories=FREE)
    replies = together([("POST", f"/api/v1/events/{event}/holds", {"id": new_id("hld"), "places": [i]}, fans[0].api.token)
                        for i in range(MANY)])
    equal(tally(replies), ({201: 5, 429: MANY - 5}, {"too_many_holds": MANY - 5}), "five live holds")
    for reply in replies:
        if reply.status == 201:
            fans[0].api.delete(f"/api/v1/holds/{reply.json['id']}", expect=204)


# ---- orders and repeats -----------------------------------------------------------------------------------------------------------------

@tap.test("one order id sent 20 times at once, 10 times: one order, one ticket, one answer")
def _():
    event = stage.world.seated(1, 10, categories=FREE)
    for place, fan in enumerate(fans[:10]):
        hold, id = fan.hold(event, {"places": [place]}), new_id("ord")
        replies = together([("POST", "/api/v1/orders", {"id": id, "hold": hold["id"]}, fan.api.token)] * 20)
        alike(replies, 201)
        equal((rows("sale_order", f"hold_id={is_id(hold['id'])}"), rows("ticket", f"order_id={is_id(id)}")), (1, 1), "orders, tickets")


@tap.test("one hold and 20 order ids: one order; one order id and 5 holds: one order")
def _():
    event, fan = stage.world.seated(1, 20, categories=FREE), fans[1]
    for place in range(5):
        hold, ids = fan.hold(event, {"places": [place]}), [new_id("ord") for _ in range(20)]
        replies = together([("POST", "/api/v1/orders", {"id": id, "hold": hold["id"]}, fan.api.token) for id in ids])
        equal(sorted(tally(replies)[0].items()), [(201, 1), (409, 19)], f"{tally(replies)}")
        equal(rows("sale_order", f"hold_id={is_id(hold['id'])}"), 1, "orders")
    holds, id = [fan.hold(event, {"places": [place]}) for place in range(10, 15)], new_id("ord")
    replies = together([("POST", "/api/v1/orders", {"id": id, "hold": hold["id"]}, fan.api.token) for hold in holds])
    winner(replies, 201, 409, "id_reused", "one order id")
    equal(rows("hold", f"status='live' AND id IN ({','.join(is_id(h['id']) for h in holds)})"), 4, "the other holds are still live")
    for hold in holds:
        fan.api.delete(f"/api/v1/holds/{hold['id']}")


@tap.test("a hold that is ordered, refreshed and released at once, 20 times, ends in one way")
def _():
    event, ends = stage.world.seated(2, 10, categories=FREE), collections.Counter()
    for place in range(20):
        fan = fans[place]
        hold, id = fan.hold(event, {"places": [place]}), new_id("ord")
        path = f"/api/v1/holds/{hold['id']}"
        ordered, released, refreshed = together([("POST", "/api/v1/orders", {"id": id, "hold": hold["id"]}, fan.api.token),
                                                 ("DELETE", path, None, fan.api.token), ("POST", path + "/refresh", None, fan.api.token)])
        state = server.sql(f"SELECT state, ticket_id IS NOT NULL AS sold FROM place WHERE place_no={place} AND event_no="
                           f"(SELECT event_no FROM event WHERE id={is_id(event)})")[0]
        status = server.sql(f"SELECT status FROM hold WHERE id={is_id(hold['id'])}")[0]["status"]
        ends[status] += 1
        if ordered.status == 201:
            equal((status, state, released.status), ("ordered", {"state": 3, "sold": 1}, 409), released.body[:200])
        else:
            equal((status, state, released.status, ordered.status // 100), ("released", {"state": 0, "sold": 0}, 204, 4), ordered.body[:200])
        assert refreshed.status in (200, 409, 410), f"{refreshed.status} {refreshed.body[:200]!r}"
    print(f"# {dict(ends)}")


@tap.test("one Idempotency-Key, the same request 20 times at once: one effect and one answer, also after kill -9")
def _():
    event, fan = stage.world.seated(1, 10, categories=FREE), fans[2]
    path, key, wish = f"/api/v1/events/{event}/holds", {"Idempotency-Key": '"race-1"'}, {"id": new_id("hld"), "places": [0]}
    replies = together([("POST", path, wish, fan.api.token, key)] * 20)
    alike(replies, 201)
    fan.api.delete(f"/api/v1/holds/{wish['id']}", expect=204)
    grants = [tenant.give("gate") for _ in range(3)]
    for grant in grants:
        before = rows("entry")
        gone = together([("DELETE", f"/api/v1/grants/{grant}", None, stage.owner.api.token, {"Idempotency-Key": grant})] * 20)
        alike(gone, 204)
        equal(rows("entry"), before + 1, "ledger entries of 20 deletions")
    hang_up()
    server.kill()
    server.start()
    for person in fans + [stage.owner]:
        person.api.close()
    equal(fan.api.post(path, wish, headers=key, expect=201).body, replies[0].body, "the answer after the crash")
    equal(fan.api.get(f"/api/v1/holds/{wish['id']}", expect=200).json["status"], "released", "done once only")


@tap.test("one Idempotency-Key, 20 different requests at once, 10 times: one is done, the others are told 422")
def _():
    event, fan = stage.world.seated(2, 20, categories=FREE), fans[3]
    for turn in range(10):
        key = {"Idempotency-Key": f"race-2-{turn}"}
        ids = [new_id("hld") for _ in range(20)]
        replies = together([("POST", f"/api/v1/events/{event}/holds", {"id": id, "places": [i]}, fan.api.token, key)
                            for i, id in enumerate(ids)])
        won = winner(replies, 201, 422, "idempotency_key_reused", f"turn {turn}")
        equal(rows("hold", "id IN (" + ",".join(map(is_id, ids)) + ")"), 1, "holds")
        fan.api.delete(f"/api/v1/holds/{ids[won]}", expect=204)


@tap.test(f"one Idempotency-Key of {MANY} people is {MANY} keys: nobody is given another's answer")
def _():
    event = stage.world.seated(2, 20, categories=FREE)
    ids = [new_id("hld") for _ in fans]
    replies = together([("POST", f"/api/v1/events/{event}/holds", {"id": id, "places": [i]}, fan.api.token, {"Idempotency-Key": "shared"})
                        for i, (id, fan) in enumerate(zip(ids, fans))])
    equal(tally(replies)[0], {201: MANY}, "all are done")
    equal([reply.json["id"] for reply in replies], ids, "each its own")


@tap.test("one new id 20 times at once, for each kind of thing that staff make: one thing, one answer")
def _():
    token, path = stage.owner.api.token, f"/api/v1/organisers/{tenant.organiser}"
    entries = {"event": 2}  # the event and its prices
    floor = [{"name": "Floor", "slots": 20, "category": 0, "color": "#3366cc"}]
    for table, where, body in (
            ("organiser", "/api/v1/organisers", {"id": new_id("org"), "name": "Racers", "slug": "racers"}),
            ("venue", path + "/venues", {"id": new_id("ven"), "name": "Hall", "address": "3 Loop Road", "time_zone": "Europe/Berlin"}),
            ("plan", path + "/plans", {"id": new_id("pln"), "venue": tenant.venue, "name": "Floor", "areas": floor}),
            ("event", path + "/events", stage.world.event_body(tenant.plan, venue=tenant.venue, categories=FREE)),
            ("role_grant", path + "/grants", {"id": new_id("grt"), "mail": stage.grantee.mail, "role": "gate"})):
        before = rows(table), rows("entry")
        replies = together([("POST", where, body, token)] * 20)
        alike(replies, 201)
        equal((rows(table), rows("entry")), (before[0] + 1, before[1] + entries.get(table, 1)), f"rows and entries of {table}")
    event = tenant.make_event(on_sale=False)
    replies = together([("POST", f"/api/v1/events/{event}/status", {"status": "on_sale"}, token)] * 10)
    equal(tally(replies)[0], {200: 10}, "put on sale ten times")
    equal(rows("place", f"event_no=(SELECT event_no FROM event WHERE id={is_id(event)})"), 120, "places, made once")


# ---- people ---------------------------------------------------------------------------------------------------------------------------

@tap.test("one code of an authenticator on 20 sessions at once, of 4 people: one is let in, and the code is spent")
def _():
    for person in fans[4:8]:
        person.step = max(person.step + 1, int(time.time() // 30))
        code = {"code": totp(person.secret, at=person.step * 30)}
        tokens = [stage.level_one(person) for _ in range(20)]
        replies = together([("POST", "/api/v1/sessions/totp", code, token) for token in tokens])
        won = winner(replies, 200, 401, "code_refused", person.name)
        opened = replies[won].json["token"]
        equal(Api(server, opened).get("/api/v1/account", expect=200).json["level"], 2, "level")
        for i, token in enumerate(tokens):
            status = Api(server, token).get("/api/v1/orders").status
            equal(status, 401, f"session {i} reads orders")
        equal(rows("session", f"level=2 AND revoked_ms IS NULL AND account_no="
                              f"(SELECT account_no FROM account WHERE id={is_id(person.id)})"), 2, "sessions of level 2")


@tap.test("a spent code stays spent: again, in another session, and when the server's clock is put back")
def _():
    person, now = fans[8], int(time.time() // 30)
    code = {"code": totp(person.secret, at=person.step * 30)}
    for _ in range(2):
        reply = Api(server, stage.level_one(person)).post("/api/v1/sessions/totp", code)
        equal((reply.status, reply.problem), (401, "code_refused"), "the code of the enrolment again")
    told = lambda: Api(server).get("/api/v1/status", expect=200).json["time"]  # noqa: E731
    server.clock.write_text("-60000\n")
    try:
        seen = []
        until("the clock is put back: the server's time stands still", lambda: seen.append(told()) or seen[-4:-1] == [seen[-1]] * 3)
        late = told()
        until("time has passed elsewhere", lambda: time.time() > now * 30 + 1)
        equal(told(), late, "the server's time while its clock is behind what it has seen")
        for person in fans[9:12]:
            for step in (now - 3, now - 2, now - 1, person.step):
                reply = Api(server, stage.level_one(person)).post("/api/v1/sessions/totp", {"code": totp(person.secret, at=step * 30)})
                equal((reply.status, reply.problem), (401, "code_refused"), f"step {step - now} with the clock put back")
    finally:
        server.move_clock(0)
    until("time goes on", lambda: told() > late)


@tap.test("one address registered 20 times at once: one account")
def _():
    before = rows("account")
    replies = together([("POST", "/api/v1/accounts", {"id": new_id("acc"), "mail": "Twin@Races.example" if i % 2 else "twin@races.example",
                                                      "name": "Twin", "password": PASSWORD}, None) for i in range(20)])
    winner(replies, 201, 409, "account_exists")
    equal(rows("account"), before + 1, "accounts")


@tap.test("the one-time owner link used 8 times at once: one owner")
def _():
    other = Server()
    try:
        token = other.owner_link.split("#", 1)[1]
        replies = together([("POST", "/api/v1/setup/owner", {"token": token, "id": new_id("acc"), "mail": f"owner{i}@races.example",
                                                             "name": "Owner", "password": PASSWORD}, None) for i in range(8)], other)
        winner(replies, 201, 410, "link_used")
        equal(other.number("SELECT count(*) AS n FROM role_grant"), 1, "owners")
        equal(other.number("SELECT count(*) AS n FROM account"), 1, "accounts")
    finally:
        other.close()


@tap.test("two owners who take each other's role away at once, 5 times: one is left")
def _():
    path = f"/api/v1/organisers/{tenant.organiser}/grants"
    for turn in range(5):
        pair, ids = fans[12 + 2 * turn:14 + 2 * turn], []
        for person in pair:
            ids.append(new_id("grt"))
            stage.owner.api.post(path, {"id": ids[-1], "mail": person.mail, "role": "owner"}, expect=201)
        replies = together([("DELETE", f"/api/v1/grants/{ids[1 - i]}", None, pair[i].api.token) for i in range(2)])
        left = rows("role_grant", f"revoked_ms IS NULL AND id IN ({is_id(ids[0])},{is_id(ids[1])})")
        equal((sum(r.status == 204 for r in replies), left), (1, 1), f"turn {turn}: {tally(replies)}")
        for id in ids:
            stage.owner.api.delete(f"/api/v1/grants/{id}", expect=204)
    first = next(r for r in stage.owner.api.get("/api/v1/account", expect=200).json["grants"] if r["role"] == "owner")
    assert first, "the first owner still is one"


# ---- what is remembered of a session ---------------------------------------------------------------------------------------------------

def ask_while(path, token, change, before, after, words, askers=3):
    """Asks again and again on several connections; change() in between. Who asks after its answer gets `after`."""
    asked, stop = [], threading.Event()

    def ask():
        api = Api(server, token)
        while not stop.is_set():
            began = time.monotonic()
            asked.append((began, api.get(path).status))
        api.close()

    threads = [threading.Thread(target=ask) for _ in range(askers)]
    for thread in threads:
        thread.start()
    try:
        until(f"{words}: they are let in", lambda: sum(status == before for _, status in asked) > 10 * askers)
        change()
        told = time.monotonic()
        until(f"{words}: they have asked again", lambda: sum(began > told for began, _ in asked) > 10 * askers)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    equal({status for _, status in asked} - {before, after}, set(), f"{words}: other answers")
    equal({status for began, status in asked if began > told}, {after}, f"{words}: answers to who asked after it was told")


@tap.test("a session that ended is refused to the very next request, on every connection, 10 times")
def _():
    for turn in range(10):
        token = stage.level_one(fans[20])
        ask_while("/api/v1/account", token, lambda token=token: Api(server, token).delete("/api/v1/sessions/current", expect=204),
                  200, 401, f"turn {turn}")


@tap.test("a role that was given or taken away counts for the very next request, on every connection, 5 times")
def _():
    path, person, id = f"/api/v1/organisers/{tenant.organiser}/grants", fans[21], None
    for turn in range(5):
        id = new_id("grt")
        give = lambda id=id: stage.owner.api.post(path, {"id": id, "mail": person.mail, "role": "auditor"}, expect=201)  # noqa: E731
        take = lambda id=id: stage.owner.api.delete(f"/api/v1/grants/{id}", expect=204)  # noqa: E731
        events = f"/api/v1/organisers/{tenant.organiser}/events"
        ask_while(events, person.api.token, give, 404, 200, f"turn {turn}, given")
        ask_while(events, person.api.token, take, 200, 404, f"turn {turn}, taken")


# ---- doors ------------------------------------------------------------------------------------------------------------------------------

def public_key():
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    raw = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], check=True, input=key, stdout=subprocess.PIPE).stdout
    return base64.b64encode(raw[-32:]).decode()


@tap.test("one enrolment code used by 20 scanners at once, 3 times: one is enrolled")
def _():
    keys = [public_key() for _ in range(DEVICES)]
    for _ in range(3):
        token = enrolment(stage.world, tenant.event)["token"]
        before = rows("device")
        replies = together([("POST", "/api/v1/devices/enrol", {"id": new_id("dev"), "token": token, "public_key": key}, None)
                            for key in keys])
        won = winner(replies, 201, 410, "link_used")
        assert "gate_key" in replies[won].json and all("gate_key" not in r.json for i, r in enumerate(replies) if i != won)
        equal(rows("device"), before + 1, "devices")
        keys[won] = public_key()


@tap.test(f"one ticket at {DEVICES} doors at once, 8 times: one admitted, all others say where it was")
def _():
    event = stage.world.seated(1, 8, categories=FREE)
    scanners.extend(Scanner(server, enrolment(stage.world, event, gate=f"Gate {i}")["token"]) for i in range(DEVICES))
    for place in range(8):
        fan = fans[20 + place]
        ticket = fan.order(fan.hold(event, {"places": [place]}))["tickets"][0]
        code = fan.api.get(f"/api/v1/tickets/{ticket}/code", expect=200).json["code"]
        bodies = [scanner.body(code) for scanner in scanners]
        replies = together([("POST", "/api/v1/scans", body, None) for body in bodies])
        equal(tally(replies)[0], {200: DEVICES}, replies[0].body[:200])
        verdicts = collections.Counter((r.json["verdict"], r.json["reason"]) for r in replies)
        equal(dict(verdicts), {("admitted", "ok"): 1, ("rejected", "already_admitted"): DEVICES - 1}, "verdicts")
        won = next(i for i, r in enumerate(replies) if r.json["verdict"] == "admitted")
        for i, reply in enumerate(replies):
            if i != won:
                equal(reply.json["first"]["gate"], f"Gate {won}", "where it was admitted first")
        equal(rows("scan", f"admitted=1 AND ticket_id={is_id(ticket)}"), 1, "admissions")
        equal(fan.api.get(f"/api/v1/tickets/{ticket}", expect=200).json["entries_used"], 1, "entries used")
        again = together([("POST", "/api/v1/scans", body, None) for body in bodies])
        equal([r.json for r in again], [r.json for r in replies], "the same scans sent again")


@tap.test("one scan sent 20 times at once is one scan; its number with another code is refused")
def _():
    event, fan = stage.world.seated(1, 4, categories=FREE), fans[29]
    scanner = Scanner(server, enrolment(stage.world, event)["token"])
    tickets = fan.order(fan.hold(event, {"places": [0, 1]}))["tickets"]
    codes = [fan.api.get(f"/api/v1/tickets/{ticket}/code", expect=200).json["code"] for ticket in tickets]
    body = scanner.body(codes[0])
    replies = together([("POST", "/api/v1/scans", body, None)] * 20)
    alike(replies, 200)
    equal(replies[0].json["verdict"], "admitted", "the first time")
    pair = [scanner.body(codes[1], sequence=7), scanner.body("GH1:OTHER", sequence=7)]
    replies = together([("POST", "/api/v1/scans", pair[i % 2], None) for i in range(20)])
    by = [{r.status for r in replies[i::2]} for i in range(2)]
    assert sorted(map(sorted, by)) == [[200], [409]], f"{tally(replies)}"
    equal({r.problem for r in replies if r.status == 409}, {"sequence_reused"}, "the word")
    equal(rows("scan", f"device_no=(SELECT device_no FROM device WHERE id={is_id(scanner.id)})"), 2, "scans")


@tap.test(f"a ticket for three entries at {DEVICES} doors at once: three are admitted")
def _():
    event = stage.world.seated(1, 4, categories=FREE, entries_max=3)
    doors = [Scanner(server, enrolment(stage.world, event, gate=f"Gate {i}")["token"]) for i in range(8)]
    fan = fans[28]
    ticket = fan.order(fan.hold(event, {"places": [0]}))["tickets"][0]
    code = fan.api.get(f"/api/v1/tickets/{ticket}/code", expect=200).json["code"]
    replies = together([("POST", "/api/v1/scans", doors[i % 8].body(code), None) for i in range(DEVICES)])
    equal(collections.Counter(r.json["verdict"] for r in replies), {"admitted": 3, "rejected": DEVICES - 3}, "verdicts")
    equal(sorted(r["admission_no"] for r in server.sql(f"SELECT admission_no FROM scan WHERE admitted=1 AND ticket_id={is_id(ticket)}")),
          [1, 2, 3], "admissions, numbered")


@tap.test("an order is seen by the very next request, also by one that waits for its change, 150 times")
def _():
    event, fan = stage.world.standing(200, categories=FREE), fans[27]
    for _ in range(150):
        order = fan.order(fan.hold(event, {"area": {"area": 0, "count": 1}}))
        seen = fan.api.get(f"/api/v1/orders/{order['id']}?wait=1&version={order['version'] - 1}", expect=200).json
        equal(seen["id"], order["id"], "the order")
    priced = stage.world.standing(10)
    order = fan.order(fan.hold(priced, {"area": {"area": 0, "count": 1}}))
    replies = together([("GET", f"/api/v1/orders/{order['id']}?wait=1&version={order['version']}", None, fan.api.token)] * 20)
    alike(replies, 200)


@tap.test("the ledger agrees with all that was done")
def _():
    server.sound()


tap.run()
