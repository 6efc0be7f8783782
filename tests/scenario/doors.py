# SPDX-License-Identifier: Apache-2.0
"""The tables of routes and permissions as the source has them, and tenants with one of every thing a route can name.

Private to the tests that walk all routes (test_routes.py, test_tenants.py, test_races.py).
"""
import contextlib
import hashlib
import http.client
import re
import sqlite3

from gatehouse import ROOT, Api, Person, Reply, Scanner, World, enrolment, new_id, pretix_plan

ROLES = ["owner", "organiser", "box_office", "gate", "auditor"]
FREE = [{"category": 0, "name": "Seat", "color": "#3366cc", "price_minor": 0, "fee_minor": 0}]
ROWS, SEATS = 6, 20
CAPTURE = re.compile(r"\{(\w+)\}")
PREFIXES = dict(re.findall(r'^ID\((\w+), "(\w+)"\)', (ROOT / "src/ground/base/ids.def").read_text(), re.M))


class Route:
    def __init__(self, row):
        self.method, self.pattern, self.mode, self.handler = row[0], row[1], row[2], row[3]
        self.level, self.permission, self.rate, self.body_max, self.summary = int(row[4]), row[5], row[6], int(row[7]), row[8]
        self.captures = CAPTURE.findall(self.pattern)

    def __str__(self):
        return f"{self.method} {self.pattern}"

    def path(self, ids):
        return CAPTURE.sub(lambda name: ids[name.group(1)], self.pattern)

    @property
    def writes(self):
        return self.method not in ("GET", "HEAD")

    @property
    def streams(self):
        return self.rate == "STREAMS"


def routes():
    text = (ROOT / "src/reach/api/routes.def").read_text()
    rows = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+), (\w+), (\d), (\w+), (\w+), (\d+), "([^"]*)"\)', text, re.M)
    assert len(rows) == len(re.findall(r"^ROUTE\(", text, re.M)), "every row of routes.def is understood"
    return [Route(row) for row in rows]


def permissions():
    """{permission: {role: may}}"""
    text = (ROOT / "src/trust/access/permissions.def").read_text()
    head = re.search(r"PERMISSION\(name, ([\w, ]+)\)", text).group(1).split(", ")
    assert head == ROLES, f"the roles are {head}"
    return {row[0]: dict(zip(ROLES, (flag.strip() == "1" for flag in row[1].split(","))))
            for row in re.findall(r"^PERMISSION\((\w+), ([\d, ]+)\)", text, re.M)}


def rates():
    """{class: (tokens, window in seconds)}"""
    text = (ROOT / "src/reach/api/rates.def").read_text()
    return {name: (int(n), int(s)) for name, n, s in re.findall(r"^RATE\((\w+), (\d+), (\d+)\)", text, re.M)}


def strange_ids(**more):
    """Well formed ids of nothing, one of each kind."""
    return {kind: new_id(prefix) for kind, prefix in PREFIXES.items()} | more


def ask(server, token, method, path, body=None, **more):
    """One request; of a stream only the head is read."""
    api = Api(server, token)
    try:
        if not path.split("?")[0].endswith("/stream"):
            return api.call(method, path, body, **more)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        head = {"Authorization": "Bearer " + token} if token else {}
        connection.request(method, path, headers=head)
        answer = connection.getresponse()
        stream = answer.getheader("Content-Type") == "text/event-stream"
        reply = Reply(answer.status, answer.headers, b"" if stream else answer.read())
        if answer.fp:
            answer.close()
        connection.close()
        return reply
    finally:
        api.close()


# ---- who and what there is ------------------------------------------------------------------------------------------------

class Buyer(Person):
    """A fan with a live hold, a paid order, its ticket and two sessions."""

    def __init__(self, server, mail, name, event, places):
        super().__init__(server, mail, name)
        self.bought = self.order(self.hold(event, {"places": [places[0]]}))
        assert self.bought["status"] == "paid", f"a free order is paid at once: {self.bought}"
        self.live = self.hold(event, {"places": [places[1]]})
        own = self.api.get("/api/v1/account/sessions", expect=200).json["data"]
        self.ids = {"hold": self.live["id"], "order": self.bought["id"], "ticket": self.bought["tickets"][0],
                    "session": next(s["id"] for s in own if s["current"]), "account": self.id}


class Tenant:
    """An organiser with staff of each role, an event on sale and a draft, a scanner, an alert and a buyer."""

    def __init__(self, world, slug, grantee):
        self.world, self.server, self.slug, self.grantee = world, world.server, slug, grantee
        self.organiser = world.make_organiser(slug)
        self.venue = world.make_venue(self.organiser)
        self.plan = world.make_plan({"source": pretix_plan(ROWS, SEATS)}, self.organiser, self.venue)
        self.event = self.make_event(name=f"Evening of {slug}")
        self.draft = self.make_event(on_sale=False)
        self.staff = {role: self.hire(role) for role in ROLES[1:]} | {"owner": world.owner}
        self.fan = Buyer(self.server, f"fan@{slug}.example", f"Fan of {slug.title()}", self.event, (0, 1))
        self.scanner = Scanner(self.server, enrolment(world, self.event)["token"])
        code = self.fan.api.get(f"/api/v1/tickets/{self.fan.ids['ticket']}/code", expect=200).json["code"]
        self.scans = [self.scanner.scan(code)["verdict"] for _ in range(2)]
        assert self.scans == ["admitted", "rejected"], f"a ticket admits once: {self.scans}"
        alerts = world.owner.api.get(f"/api/v1/organisers/{self.organiser}/alerts", expect=200).json["data"]
        self.ids = {"organiser": self.organiser, "venue": self.venue, "plan": self.plan, "event": self.event,
                    "device": self.scanner.id, "alert": alerts[0]["id"], "grant": self.give("gate"), **self.fan.ids}

    def make_event(self, on_sale=True, **more):
        return self.world.make_event(self.plan, self.organiser, on_sale, **{"venue": self.venue, "categories": FREE, **more})

    def hire(self, role, event=None):
        person = Person(self.server, f"{role}@{(event or self.slug).replace('_', '.')}.example", role.title())
        person.grant = self.give(role, person.mail, event)
        return person

    def give(self, role, mail=None, event=None):
        id = new_id("grt")
        self.world.owner.api.post(f"/api/v1/organisers/{self.organiser}/grants",
                                  {"id": id, "mail": mail or self.grantee.mail, "role": role, "event": event}, expect=201)
        return id

    def etag(self, event):
        return self.world.owner.api.get(f"/api/v1/events/{event}", expect=200).headers["ETag"]

    def query(self, route, event=None):
        return f"?event={event or self.event}" if route.handler == "organiser_orders_get" else ""

    def body(self, route):
        """A body that the route takes from somebody who may; None where it has none."""
        makers = {
            "account_post": lambda: {"id": new_id("acc"), "mail": f"{new_id('acc')}@people.example", "name": "A Person",
                                     "password": "correct horse battery staple 9"},
            "session_post": lambda: {"mail": self.fan.mail, "password": "correct horse battery staple 9"},
            "session_totp_post": lambda: {"code": "000000"},
            "account_totp_confirm_post": lambda: {"code": "000000"},
            "setup_owner_post": lambda: {"token": "A" * 43, "id": new_id("acc"), "mail": "second@owner.example", "name": "Second",
                                         "password": "correct horse battery staple 9"},
            "hold_post": lambda: {"id": new_id("hld"), "places": [ROWS * SEATS - 1]},
            "order_post": lambda: {"id": new_id("ord"), "hold": self.fan.ids["hold"]},
            "organiser_post": lambda: {"id": new_id("org"), "name": "Another", "slug": new_id("org").replace("_", "-")},
            "venue_post": lambda: {"id": new_id("ven"), "name": "Hall", "address": "2 Loop Road", "time_zone": "Europe/Berlin"},
            "plan_post": lambda: {"id": new_id("pln"), "venue": self.venue, "name": "Floor",
                                  "areas": [{"name": "Floor", "slots": 20, "category": 0, "color": "#3366cc"}]},
            "event_post": lambda: self.world.event_body(self.plan, venue=self.venue, categories=FREE),
            "event_patch": lambda: {"name": "Another name"},
            "event_status_post": lambda: {"status": "on_sale"},
            "grant_post": lambda: {"id": new_id("grt"), "mail": self.grantee.mail, "role": "gate"},
            "device_enrolment_post": lambda: {"name": "Scanner", "gate": "Gate A"},
            "device_enrol_post": lambda: {"id": new_id("dev"), "token": "A" * 43, "public_key": "A" * 43 + "="},
            "scan_post": lambda: self.scanner.body("GH1:NOT A TICKET"),
        }
        return makers[route.handler]() if route.handler in makers else None

    def fresh(self, route):
        """(ids, headers) so that somebody who may can do it, and again: what a request uses up is made anew."""
        ids, headers = dict(self.ids), {}
        if route.handler == "event_status_post":
            ids["event"] = self.make_event(on_sale=False)
        elif route.handler == "event_patch":
            ids["event"], headers["If-Match"] = self.draft, self.etag(self.draft)
        elif route.handler == "grant_delete":
            ids["grant"] = self.give("gate")
        elif route.handler == "device_delete":
            ids["device"] = Scanner(self.server, enrolment(self.world, self.event)["token"]).id
        return ids, headers


class Stage:
    """A world with tenants called a and b, and a fan who has nothing."""

    def __init__(self, server, slugs):
        self.server = server
        self.world = World(server, "installation")
        self.owner = self.world.owner
        self.grantee = self.world.fan("grantee")
        self.nobody = self.world.fan("nobody")
        self.tenants = [Tenant(self.world, slug, self.grantee) for slug in slugs]

    def level_one(self, person):
        """A session after the password only."""
        reply = Api(self.server).post("/api/v1/sessions", {"mail": person.mail, "password": "correct horse battery staple 9"}, expect=200)
        return reply.json["token"]

    def digest(self, without=("session", "idempotency", "job")):
        """{table: hash of all its rows}, by a reader of its own that cannot write; only numbers where the server works by itself."""
        found = {}
        with contextlib.closing(sqlite3.connect(f"file:{self.server.database()}?mode=ro", uri=True, timeout=20)) as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
            for name in names:
                if name not in without:
                    rows = sorted(repr(row) for row in db.execute(f'SELECT * FROM "{name}"'))
                    found[name] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16])
            found["sessions"] = db.execute("SELECT count(*), count(revoked_ms) FROM session").fetchone()
            found["jobs"] = db.execute("SELECT count(*) FROM job").fetchone()
        return found

    def columns(self):
        """The names of all columns of all tables."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.database()}?mode=ro", uri=True, timeout=20)) as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
            return sorted({row[1] for name in names for row in db.execute(f'PRAGMA table_info("{name}")')})


def changed(before, after):
    return {name: (before.get(name), after.get(name)) for name in before | after if before.get(name) != after.get(name)}
