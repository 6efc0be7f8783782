#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every door of the API, walked from the table: who may pass, what is refused, and what every answer carries."""
import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from doors import FREE, PREFIXES, ROLES, ROWS, SEATS, Stage, ask, changed, permissions, rates, routes, strange_ids
from gatehouse import PASSWORD, Api, Person, Server, Tap, equal, new_id, time_text, totp

tap = Tap()
ROUTES, MAY = routes(), permissions()
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CACHEABLE = {"openapi_get": "no-cache", "event_plan_get": "no-cache", "event_availability_get": "no-cache"}
UNSIGNED = ("provider_webhook_post",)  # its body is the provider's, and read only when its signature is right
NAMED = {"secret": None}

# ---- what every answer carries: checked for each answer of this file -----------------------------------------------------------

STANDARD = {"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}
answers, complaints, request_ids = [], [], set()
plain_send = Api._send


def cacheable(method, path):
    for route in ROUTES:
        if route.handler in CACHEABLE and method in ("GET", "HEAD"):
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/?]+", route.pattern) + r"(\?.*)?", path):
                return True
    return False


def look_over(method, path, reply):
    def need(true, words):
        if not true:
            complaints.append(f"{method} {path[:100]} {reply.status}: {words}")
    answers.append(reply.status)
    for name, value in STANDARD.items():
        equal_all = reply.headers.get_all(name) or []
        need(equal_all == [value], f"{name} is {equal_all}")
    csp = reply.headers.get_all("Content-Security-Policy") or []
    need(len(csp) == 1 and "default-src 'none'" in csp[0] and "frame-ancestors 'none'" in csp[0]
         and "unsafe" not in csp[0], f"Content-Security-Policy is {csp}")
    control = reply.headers.get_all("Cache-Control") or []
    need(control == ["no-store"] or (cacheable(method, path) and reply.status < 400 and len(control) == 1),
         f"Cache-Control is {control}")
    id = reply.headers.get("Request-Id", "")
    need(re.fullmatch(r"req_[0-9a-hjkmnp-tv-z]{26}", id), f"Request-Id is {id!r}")
    need(id not in request_ids, "the request id was used before")
    request_ids.add(id)
    need("Server" not in reply.headers and "X-Powered-By" not in reply.headers, "it says what it runs")
    need(reply.status < 500 or reply.status in (501, 503, 505), f"a failure of ours: {reply.body[:200]!r}")
    if reply.status >= 400 and method != "HEAD":
        need(reply.headers["Content-Type"] == "application/problem+json", f"the type is {reply.headers['Content-Type']}")
        problem = reply.json
        need(problem["status"] == reply.status and problem["instance"] == id and problem["title"]
             and re.fullmatch(r".*/problems/[a-z_]+", problem["type"]), f"the problem is {problem}")
        if NAMED["secret"]:
            need(NAMED["secret"] not in reply.body.decode(), "a secret is repeated")


def checked_send(self, method, path, raw, head, timeout_s):
    reply = plain_send(self, method, path, raw, head, timeout_s)
    look_over(method, path, reply)
    return reply


Api._send = checked_send

server = Server()
tap.cleanup(server.close)
stage = tenant = None


def of(**wanted):
    return [r for r in ROUTES if all(getattr(r, name) == value for name, value in wanted.items())]


def posting():
    """Routes whose body this file can make, with a token of somebody who may."""
    for route in ROUTES:
        if route.method in ("POST", "PATCH") and route.handler not in UNSIGNED:
            yield route, (stage.owner if route.permission != "none" else tenant.fan).api.token


def problem(reply, status, word, words):
    equal((reply.status, reply.problem), (status, word), f"{words} {reply.body[:300]!r}")


# ---- the document ----------------------------------------------------------------------------------------------------------

@tap.test("a tenant with one of every thing is set up through the API", vital=True)
def _():
    global stage, tenant
    stage = Stage(server, ["alpha"])
    tenant = stage.tenants[0]


@tap.test("the OpenAPI document has exactly the operations of the route table")
def _():
    document = Api(server).get("/api/v1/openapi.json", expect=200).json
    served = {(method.upper(), path, op["operationId"], op["x-permission"], int(op["x-level"]), op["summary"])
              for path, item in document["paths"].items() for method, op in item.items()}
    table = {(r.method, r.pattern, r.handler, r.permission, r.level, r.summary) for r in ROUTES}
    equal(served ^ table, set(), "only on one side")
    equal(len(served), len(ROUTES), "operations")


@tap.test("the OpenAPI document is sound: references resolve, parameters are declared, operation ids are used once")
def _():
    document = Api(server).get("/api/v1/openapi.json", expect=200).json
    assert re.fullmatch(r"3\.1\.\d", document["openapi"]) and document["info"]["title"] and document["info"]["version"]
    ids, schemes = [], document["components"]["securitySchemes"]

    def walk(thing):
        if isinstance(thing, dict):
            if "$ref" in thing:
                at = document
                for part in thing["$ref"].removeprefix("#/").split("/"):
                    at = at[part]
            for value in thing.values():
                walk(value)
        elif isinstance(thing, list):
            for value in thing:
                walk(value)
    walk(document)
    for path, item in document["paths"].items():
        for method, op in item.items():
            ids.append(op["operationId"])
            equal([p["name"] for p in op["parameters"]], re.findall(r"\{(\w+)\}", path), f"parameters of {path}")
            assert all(p["in"] == "path" and p["required"] and p["schema"]["type"] == "string" for p in op["parameters"])
            for p in op["parameters"]:
                assert re.fullmatch(p["schema"]["pattern"], new_id(PREFIXES[p["name"]])), f"the pattern of {p['name']}"
            assert op["responses"] and all(r["description"] for r in op["responses"].values())
            assert all(name in schemes for use in op["security"] for name in use)
            equal(bool(op["security"]), int(op["x-level"]) in (1, 2), f"security of {method} {path}")
            equal("requestBody" in op and method in ("get", "delete"), False, f"a body of {method} {path}")
    equal(len(ids), len(set(ids)), "operation ids")


if shutil.which("redocly"):
    @tap.test("redocly finds no error in the OpenAPI document")
    def _():
        path = server.dir / "openapi.json"
        path.write_bytes(Api(server).get("/api/v1/openapi.json").body)
        done = subprocess.run(["redocly", "lint", "--extends=minimal", str(path)], text=True, capture_output=True, cwd=server.dir)
        equal(done.returncode, 0, done.stdout + done.stderr)


@tap.test("the OpenAPI document, the plan and the availability have an ETag and answer 304 to it, and only to it")
def _():
    for path in ("/api/v1/openapi.json", f"/api/v1/events/{tenant.event}/plan.bin",
                 f"/api/v1/events/{tenant.event}/availability.bin"):
        api = Api(server)
        first = api.get(path, expect=200)
        etag = first.headers["ETag"]
        assert re.fullmatch(r'"[^"]+"', etag), f"{path}: ETag {etag}"
        for tag in (etag, "W/" + etag, f'"other", {etag}', "*"):
            again = api.get(path, headers={"If-None-Match": tag}, expect=304)
            equal((again.body, again.headers["ETag"]), (b"", etag), path)
        equal(api.get(path, headers={"If-None-Match": '"other"'}, expect=200).body, first.body, path)


# ---- who may -----------------------------------------------------------------------------------------------------------------

@tap.test("without a session: 401 where one is needed, a plain answer where the route is public, never a failure")
def _():
    for token in (None, "A" * 43, "x", ""):
        for route in ROUTES:
            ids = tenant.ids | {"session": strange_ids()["session"]}
            body = {} if route.writes and route.body_max and route.level in (0, 3) else None
            reply = ask(server, token, route.method, route.path(ids), body)
            if route.level in (1, 2):
                problem(reply, 401, "no_session", f"{route} with {token!r}")
            elif route.handler == "demo_mails_get":
                problem(reply, 404, "not_found", str(route))
            elif route.method == "GET":
                equal(reply.status, 200, str(route))
            else:
                assert reply.status in (400, 401, 403), f"{route}: {reply.status} {reply.body[:200]!r}"


@tap.test("a session of level 1 finishes the sign-in and does nothing else, whoever's it is")
def _():
    for person in (stage.owner, tenant.staff["organiser"], tenant.fan):
        token = stage.level_one(person)
        for route in of(level=2):
            reply = ask(server, token, route.method, route.path(tenant.ids))
            problem(reply, 401, "second_factor_required", f"{route} by {person.name}")
        equal(Api(server, token).get("/api/v1/account", expect=200).json["level"], 1, "level")
        Api(server, token).delete("/api/v1/sessions/current", expect=204)
        problem(Api(server, token).get("/api/v1/account"), 401, "no_session", "after signing out")


@tap.test("the second factor opens a new session; the old token is worth nothing afterwards")
def _():
    person = stage.world.fan("stepper")
    low = stage.level_one(person)
    done = Api(server, low).post("/api/v1/sessions/totp", {"code": totp(person.secret, at=(person.step + 1) * 30)}, expect=200).json
    assert done["token"] != low and done["level"] == 2
    problem(Api(server, low).get("/api/v1/account"), 401, "no_session", "the token of level 1")
    equal(Api(server, done["token"]).get("/api/v1/account", expect=200).json["level"], 2, "level")


@tap.test("a fan is refused at every route that needs a permission, and nothing changes")
def _():
    before = stage.digest()
    for route in [r for r in ROUTES if r.permission != "none"]:
        path = route.path(tenant.ids) + tenant.query(route)
        for person in (stage.nobody, tenant.fan):
            reply = ask(server, person.api.token, route.method, path, tenant.body(route), headers={"If-Match": '"v1"'})
            assert (reply.status, reply.problem) in ((403, "not_permitted"), (404, "not_found")), \
                f"{route}: {reply.status} {reply.body[:200]!r}"
    equal(changed(before, stage.digest()), {}, "what changed")


def matrix_of(role):
    @tap.test(f"{role}: may exactly what permissions.def says, at every route of its own organiser")
    def _():
        person = tenant.staff[role]
        for route in [r for r in ROUTES if r.permission != "none"]:
            may = MAY[route.permission][role]
            ids, headers = tenant.fresh(route) if may else (tenant.ids, {"If-Match": '"v1"'})
            before = None if may else stage.digest()
            reply = ask(server, person.api.token, route.method, route.path(ids) + tenant.query(route), tenant.body(route),
                        headers=headers)
            if may:
                assert reply.status in (200, 201, 204), f"{route}: {reply.status} {reply.body[:300]!r}"
            elif route.handler == "organiser_post":  # of no organiser: there is nothing to be known of
                assert reply.status in (403, 404), f"{route}: {reply.status} {reply.body[:300]!r}"
            elif route.handler == "grant_delete" and not MAY["grants_read"][role]:  # who may not see grants, sees none
                problem(reply, 404, "not_found", f"{route} by {role}")
            else:
                problem(reply, 403, "not_permitted", f"{route} by {role}")
            if not may:
                equal(changed(before, stage.digest()), {}, f"{route} by {role} was refused and changed")


for each_role in ROLES:
    matrix_of(each_role)


@tap.test("every staff read of people, orders and scans leaves an access record, a refused one leaves none")
def _():
    count = lambda: server.number("SELECT count(*) AS n FROM access_record")  # noqa: E731
    for handler in ("organiser_orders_get", "organiser_scans_get", "grants_get"):
        route, = of(handler=handler)
        path = route.path(tenant.ids) + tenant.query(route)
        before = count()
        ask(server, tenant.staff["organiser"].api.token, "GET", path, expect=200)
        equal(count(), before + 1, f"records after {route}")
        denied = "auditor" if handler == "organiser_orders_get" else "box_office"
        ask(server, tenant.staff[denied].api.token, "GET", path, expect=403)
        equal(count(), before + 1, f"records after a refused {route}")


@tap.test("nobody hands on more than they have: organisers make no organisers and no owners")
def _():
    path = f"/api/v1/organisers/{tenant.organiser}/grants"
    for role, status in (("owner", (403, 404)), ("organiser", 403), ("sultan", 400)):
        reply = tenant.staff["organiser"].api.post(path, {"id": new_id("grt"), "mail": stage.grantee.mail, "role": role})
        assert reply.status in (status if isinstance(status, tuple) else (status,)), f"{role}: {reply.status} {reply.body[:200]!r}"
    problem(tenant.staff["organiser"].api.delete(f"/api/v1/grants/{tenant.staff['organiser'].grant}"), 403, "not_permitted",
            "an organiser ends an organiser's grant")


# ---- bodies ------------------------------------------------------------------------------------------------------------------

def valid(route):
    """(path, body, headers, names the route reads) of a request that only its extra members make wrong."""
    headers = {"If-Match": tenant.etag(tenant.draft)} if route.handler == "event_patch" else {}
    ids = tenant.ids | ({"event": tenant.draft} if route.handler in ("event_patch", "event_status_post") else {})
    body = tenant.body(route) or {}
    names = set(body)
    if route.handler == "event_patch":
        names |= set(tenant.world.event_body(tenant.plan)) - {"id", "venue", "plan", "currency"}
    names |= {"hold_post": {"places", "best", "area"}, "plan_post": {"source", "generate", "areas"},
              "grant_post": {"event", "expires_at"}}.get(route.handler, set())
    return route.path(ids), body, headers, names


@tap.test("no member that was not offered is taken: each column of each table, in each body, is refused by name")
def _():
    before, tried = stage.digest(), 0
    columns = stage.columns() + ["price", "price_cents", "organiser", "account", "level", "total_minor", "permission", "__proto__",
                                 "constructor", "Status", "id ", "", "a/b~c"]
    assert "organiser_no" in columns and "price_minor" in columns and "totp_step" in columns
    for route, token in posting():
        path, body, headers, names = valid(route)
        api = Api(server, token)
        for column in columns:
            if column in names:
                continue
            reply = api.call(route.method, path, {**body, column: 1}, headers=headers)
            if reply.status == 413 and route.body_max <= 64:
                continue  # a route without members takes hardly a byte
            problem(reply, 400, "unknown_field", f"{route} with {column!r}")
            pointer = "#/" + column.replace("~", "~0").replace("/", "~1")
            equal(urllib.parse.unquote(reply.json["errors"][0]["pointer"]), pointer, f"{route}: the pointer")
            tried += 1
        api.close()
    assert tried > 2000, f"only {tried} were tried"
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("no member that was not offered is taken inside other members either")
def _():
    owner, fan = stage.owner.api, tenant.fan.api
    body = lambda handler: tenant.body(of(handler=handler)[0])  # noqa: E731
    area = {"name": "Floor", "slots": 20, "category": 0, "color": "#3366cc", "places": 5}
    cases = [
        (owner, f"/api/v1/organisers/{tenant.organiser}/events", {**body("event_post"), "categories": [{**FREE[0], "id": 1}]}),
        (owner, f"/api/v1/organisers/{tenant.organiser}/plans", {**body("plan_post"), "areas": [area]}),
        (owner, f"/api/v1/organisers/{tenant.organiser}/plans",
         {"id": new_id("pln"), "venue": tenant.venue, "name": "S", "generate": {"kind": "stadium", "seats": 200, "rows": 2}}),
        (fan, f"/api/v1/events/{tenant.event}/holds", {"id": new_id("hld"), "best": {"category": 0, "count": 1, "price_minor": 0}}),
        (fan, f"/api/v1/events/{tenant.event}/holds", {"id": new_id("hld"), "area": {"area": 0, "count": 1, "status": "paid"}})]
    before = stage.digest()
    for api, path, wrong in cases:
        problem(api.post(path, wrong), 400, "unknown_field", path)
    equal(changed(before, stage.digest()), {}, "what changed")


@tap.test("a body of another media type is 415 everywhere, parameters of the right one are fine")
def _():
    for route, token in posting():
        path, body, headers, _ = valid(route)
        if not body:
            body = {"a": 1}
        raw = json.dumps(body).encode()
        if len(raw) > route.body_max:
            continue
        for type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
                     "application/json-patch+json", "text/plain; application/json", None):
            reply = Api(server, token).call(route.method, path, raw=raw, headers={**headers, "Content-Type": type})
            problem(reply, 415, "bad_content_type", f"{route} with {type}")
        reply = Api(server, token).call(route.method, path, raw=b"{}", headers={**headers, "Content-Type": "Application/JSON; charset=utf-8"})
        assert reply.status != 415, f"{route}: {reply.status}"


@tap.test("encoded bodies are refused: nothing is unpacked before it is known who asks")
def _():
    for coding in ("gzip", "deflate", "br", "zstd"):
        reply = tenant.fan.api.call("POST", "/api/v1/orders", raw=b"\x1f\x8b\x08\x00", headers={"Content-Encoding": coding})
        assert reply.status in (400, 415), f"{coding}: {reply.status}"


@tap.test("JSON that tries to be clever is 400 at every route that takes JSON, quickly and without a trace")
def _():
    cases = {
        "no JSON": b"hello", "cut off": b'{"id": "', "an array": b"[]", "a text": b'"x"', "null": b"null", "two": b"{}{}",
        "duplicate": b'{"id":1,"id":2}', "proto": b'{"__proto__":{"a":1}}', "infinite": b'{"id":1e999}', "nan": b'{"id":NaN}',
        "deep": b'{"a":' * 100 + b"1" + b"}" * 100, "not UTF-8": b'{"id":"\xff\xfe"}', "surrogate": b'{"id":"\\ud800"}',
        "NUL": b'{"id":"a\\u0000b"}', "comment": b"{/* */}", "trailing comma": b'{"id":1,}', "BOM": b"\xef\xbb\xbf{}",
        "raw NUL": b'{"id":"\x00"}', "huge number": b'{"id":' + b"9" * 400 + b"}", "wrong type": b'{"id":{"a":[]}}', "empty": b""}
    before, slowest = stage.digest(), 0.0
    for route, token in posting():
        if not tenant.body(route):
            continue
        api = Api(server, token)
        path, _, headers, _ = valid(route)
        for name, raw in cases.items():
            began = time.monotonic()
            reply = api.call(route.method, path, raw=raw, headers=headers)
            slowest = max(slowest, time.monotonic() - began)
            if reply.status == 413 and len(raw) > route.body_max:
                continue
            equal(reply.status, 400, f"{route}: {name} {reply.body[:200]!r}")
        api.close()
    deep = b'{"a":' * 100000 + b"1" + b"}" * 100000
    reply = stage.owner.api.call("POST", f"/api/v1/organisers/{tenant.organiser}/plans", raw=deep)
    equal(reply.status, 400, "a hundred thousand levels")
    equal(changed(before, stage.digest()), {}, "what changed")
    print(f"# the slowest took {slowest * 1000:.1f} ms")
    assert slowest < 1, f"the slowest took {slowest:.3f} s"


@tap.test("a body over the route's limit is 413 before it is read; one at the limit is taken")
def _():
    for route in ROUTES:
        if not route.writes:
            continue
        head = (f"{route.method} {route.path(tenant.ids)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {stage.owner.api.token}\r\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(f"{head}Content-Length: {route.body_max + 1}\r\n\r\n".encode())
            got = s.recv(4096)
            assert got.startswith(b"HTTP/1.1 413 ") and b"Connection: close" in got, f"{route}: {got[:60]!r}"
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(f"{head}Content-Length: 99999999999999999999999\r\n\r\n".encode())
            got = s.recv(4096)
            assert re.match(rb"HTTP/1.1 4(00|13) ", got), f"{route}: {got[:60]!r}"
        if 0 < route.body_max <= 65536 and route.handler not in UNSIGNED:
            path, body, headers, _ = valid(route)
            raw = json.dumps(body if body else {}).encode().ljust(route.body_max)
            token = (stage.owner if route.permission != "none" else stage.nobody).api.token
            reply = Api(server, token).call(route.method, path, raw=raw[:-2] + b" x", headers=headers)
            equal(reply.status, 400, f"{route}: a body at the limit is read {reply.body[:200]!r}")


@tap.test("prices, quantities, currencies and sale windows cannot be argued with")
def _():
    owner, fan = stage.owner.api, stage.nobody.api
    before = stage.digest()
    events = f"/api/v1/organisers/{tenant.organiser}/events"
    good = tenant.body(of(handler="event_post")[0])
    for change in ({"price_minor": -1}, {"fee_minor": -1}, {"price_minor": 2**63}, {"price_minor": 10**9 + 1}, {"price_minor": 1.5},
                   {"price_minor": "1"}, {"category": 255}, {"category": -1}, {"color": "red"}):
        equal(owner.post(events, {**good, "categories": [{**FREE[0], **change}]}).status, 400, str(change))
    for change in ({"currency": "EURO"}, {"currency": "eur"}, {"currency": "ZZZ"}, {"per_order_max": 0}, {"per_order_max": 51},
                   {"entries_max": 0}, {"entries_max": -1}, {"starts_at": "tomorrow"}, {"ends_at": good["starts_at"]},
                   {"sale_until": good["sale_from"]}, {"categories": FREE * 2}, {"name": ""},
                   {"name": "a\nb"}, {"name": "\u202egnp"}):
        reply = owner.post(events, {**good, "id": new_id("evt"), **change})
        assert reply.status in (400, 409), f"{change}: {reply.status} {reply.body[:200]!r}"
    holds = f"/api/v1/events/{tenant.event}/holds"
    for wish in ({"places": []}, {"places": [-1]}, {"places": [2**32]}, {"places": [ROWS * SEATS]}, {"places": [5, 5]},
                 {"places": [1.5]}, {"places": ["5"]}, {"places": list(range(20, 71))}, {"places": list(range(20, 31))},
                 {"best": {"category": 0, "count": 0}},
                 {"best": {"category": 0, "count": -3}}, {"best": {"category": 0, "count": 2**63}}, {"best": {"category": 9, "count": 1}},
                 {"area": {"area": 0, "count": 1}}, {"places": [7], "best": {"category": 0, "count": 1}}, {}):
        reply = fan.post(holds, {"id": new_id("hld"), **wish})
        assert reply.status in (400, 404, 409), f"{wish}: {reply.status} {reply.body[:200]!r}"
    equal(changed(before, stage.digest()), {}, "what changed")
    event = tenant.make_event(on_sale=False, categories=[])
    problem(owner.post(f"/api/v1/events/{event}/status", {"status": "on_sale"}), 409, "no_price", "places without a price")
    for window in ({"sale_from": time_text(600)}, {"sale_from": time_text(-7200), "sale_until": time_text(-3600)}):
        event = tenant.make_event(**window)
        problem(fan.post(f"/api/v1/events/{event}/holds", {"id": new_id("hld"), "places": [0]}), 409, "not_on_sale", str(window))
    reply = fan.post(f"/api/v1/events/{tenant.draft}/holds", {"id": new_id("hld"), "places": [0]})
    assert reply.status in (404, 409), f"a draft: {reply.status}"


# ---- methods, paths, queries -----------------------------------------------------------------------------------------------------

@tap.test("a method that a path does not have is 405 and Allow names those it has; headers do not change the method")
def _():
    allowed = {}
    for route in ROUTES:
        allowed.setdefault(route.pattern, (route, set()))[1].add(route.method)
    for pattern, (route, methods) in allowed.items():
        want = methods | ({"HEAD"} if "GET" in methods else set())
        for method in METHODS:
            if method in methods:
                continue
            reply = ask(server, stage.owner.api.token, method, route.path(tenant.ids).replace("/stream", "/stream?"),
                        headers={"X-HTTP-Method-Override": "GET", "X-Method-Override": "DELETE"})
            problem(reply, 405, "method_not_allowed", f"{method} {pattern}")
            equal(set(reply.headers["Allow"].split(", ")), want, f"Allow of {pattern}")
        assert all(name not in reply.headers for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods"))
    for method in ("TRACE", "CONNECT", "BREW", "get"):
        reply = Api(server).call(method, "/api/v1/status")
        assert reply.status in (400, 405, 501), f"{method}: {reply.status}"
        assert b"Gatehouse-Token" not in reply.body, "TRACE repeats the request"


@tap.test("HEAD answers as GET does, without the body")
def _():
    for route in of(method="GET"):
        person = stage.owner if route.permission != "none" else tenant.fan
        path = route.path(tenant.ids) + tenant.query(route)
        get = ask(server, person.api.token, "GET", path)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("HEAD", path, headers={"Authorization": "Bearer " + person.api.token})
        head = connection.getresponse()
        equal((head.status, head.getheader("Content-Type"), head.getheader("ETag")),
              (get.status, get.headers["Content-Type"], get.headers["ETag"]), str(route))
        if not route.streams:
            assert head.getheader("Content-Length"), f"{route}: no length"
            if route.handler not in ("status_get", "organiser_orders_get", "access_records_get"):
                equal(head.getheader("Content-Length"), get.headers["Content-Length"], str(route))
        equal(head.read(), b"", f"the body of HEAD {route.pattern}")
        connection.close()


@tap.test("paths that are nearly right are 404, and so are ids of another kind or malformed ones")
def _():
    for route in ROUTES:
        if not route.captures:
            continue
        kind = route.captures[0]
        good, person = tenant.ids[kind], stage.owner if route.permission != "none" else tenant.fan
        others = [tenant.ids[k] for k in tenant.ids if k != kind][:2]
        for bad in others + [good.upper(), good + "0", good[:-1], good[:4] + "8" + good[5:], good.split("_")[1], "1", "0", "-1",
                             "..", "%2e%2e", "%00", good + "%00", good + "%20", "null", "*", "{" + kind + "}", "x" * 500, "%ff"]:
            path = route.pattern.replace("{" + kind + "}", bad)
            reply = ask(server, person.api.token, route.method, path + tenant.query(route), tenant.body(route),
                        headers={"If-Match": '"v1"'})
            assert reply.status in (400, 404), f"{route.method} {path}: {reply.status} {reply.body[:200]!r}"
            if not re.search(r"[%{]|\.\.", bad):
                equal(reply.status, 404, f"{route.method} {path}")
    for path in ("/api/v1/status/", "/api/v1//status", "/api/v1/status/x", "/api/v1/Status", "/api/v2/status", "/api/",
                 "/api/v1/account/x.css", "/api/v1/status;a=b", "/api/v1/%73tatus%2f"):
        reply = stage.owner.api.get(path)
        assert reply.status in (400, 404), f"{path}: {reply.status}"
    for path in ("/api/v1/account%2fx.css", "/api/v1/..%2fv1/account", "/api/v1/./account", "/api/v1/x/../account"):
        reply = stage.owner.api.get(path)
        assert reply.status in (400, 404), f"{path}: {reply.status} {reply.body[:200]!r}"


@tap.test("queries are read strictly: bad limits, cursors and numbers are 400 on every list")
def _():
    lists = [r for r in of(method="GET") if r.handler in (
        "events_get", "orders_get", "tickets_get", "organisers_get", "venues_get", "plans_get", "organiser_events_get",
        "organiser_orders_get", "organiser_scans_get", "organiser_alerts_get", "devices_get", "access_records_get")]
    equal(len(lists), 12, "lists")
    for route in lists:
        person = stage.owner if route.permission != "none" else tenant.fan
        path = route.path(tenant.ids) + (tenant.query(route) or "?")
        for query in ("limit=0", "limit=201", "limit=-1", "limit=abc", "limit=1e2", "limit=", "limit=99999999999999999999", "cursor=",
                      "cursor=AAAA", "cursor=%27%20OR%201=1--", "cursor=" + "A" * 500):
            reply = person.api.get(f"{path}&{query}".replace("?&", "?"))
            equal(reply.status, 400, f"{route} {query} {reply.body[:200]!r}")
        whole = person.api.get(f"{path}&limit=200".replace("?&", "?"), expect=200).json["data"]
        found, cursor = [], ""
        for _ in range(len(whole) + 2):
            page = person.api.get(f"{path}&limit=1{cursor}".replace("?&", "?"), expect=200).json
            found += page["data"]
            if not page["next_cursor"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        if route.handler != "access_records_get" and route.handler != "organisers_get":
            equal(len(found), len(whole), f"{route}: one at a time and all at once")
    for query in ("wait=0", "wait=61", "wait=x", "wait=5&version=x", "wait=5&version=-1"):
        equal(tenant.fan.api.get(f"/api/v1/orders/{tenant.ids['order']}?{query}").status, 400, query)


# ---- browsers ----------------------------------------------------------------------------------------------------------------

@tap.test("a write that carries the cookie must come from our own pages; one with the token need not")
def _():
    cookie = "gatehouse-dev=" + stage.owner.api.token
    before = stage.digest()
    for route in ROUTES:
        if not route.writes or route.level not in (0, 1, 2):
            continue
        path, body, headers, _ = valid(route) if route.method in ("POST", "PATCH") else (route.path(tenant.ids), None, {}, None)
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}, {"Origin": server.origin + ".evil.example"},
                       {"Origin": server.origin, "Sec-Fetch-Site": "cross-site"},
                       {"Origin": server.origin, "Sec-Fetch-Site": "same-site"},
                       {"Origin": server.origin.upper()}):
            reply = Api(server).call(route.method, path, body or None, headers={**headers, "Cookie": cookie, **origin})
            problem(reply, 403, "cross_origin", f"{route} from {origin}")
    equal(changed(before, stage.digest()), {}, "what changed")
    mine = {"Cookie": cookie, "Origin": server.origin, "Sec-Fetch-Site": "same-origin"}
    Api(server).post(f"/api/v1/organisers/{tenant.organiser}/venues", tenant.body(of(handler="venue_post")[0]), headers=mine, expect=201)
    equal(Api(server).get("/api/v1/account", headers={"Cookie": cookie}, expect=200).json["level"], 2, "reading needs no origin")
    reply = Api(server).get("/api/v1/account", headers={"Cookie": f"{cookie}; {cookie}"})
    assert reply.status in (400, 401), f"two cookies: {reply.status}"


@tap.test("the session's cookie is HttpOnly and Lax, new at each step, and never the one that was sent before")
def _():
    preset = "gatehouse-dev=" + "A" * 43
    reply = Api(server).post("/api/v1/sessions", {"mail": tenant.fan.mail, "password": PASSWORD}, headers={"Origin": server.origin,
                             "Cookie": preset, "Gatehouse-Token": None}, expect=200)
    cookie = reply.headers["Set-Cookie"]
    assert re.fullmatch(r"gatehouse-dev=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Lax", cookie), cookie
    assert not cookie.startswith(preset) and "token" not in reply.json
    problem(Api(server).get("/api/v1/account", headers={"Cookie": preset}), 401, "no_session", "the preset one")


# ---- repeats, limits, enumeration ---------------------------------------------------------------------------------------------------

@tap.test("an Idempotency-Key: the same request has the same answer, another one is 422, another person's is another key")
def _():
    path, key = f"/api/v1/events/{tenant.event}/holds", {"Idempotency-Key": '"key-1"'}
    wish = {"id": new_id("hld"), "places": [40]}
    first = stage.nobody.api.post(path, wish, headers=key, expect=201)
    stage.nobody.api.delete(f"/api/v1/holds/{wish['id']}", expect=204)
    for repeat in (key, {"Idempotency-Key": "key-1"}):
        again = stage.nobody.api.post(path, wish, headers=repeat, expect=201)
        equal(again.body, first.body, "the answer given again")
    equal(stage.nobody.api.get(f"/api/v1/holds/{wish['id']}", expect=200).json["status"], "released", "nothing was done again")
    problem(stage.nobody.api.post(path, {"id": new_id("hld"), "places": [41]}, headers=key), 422, "idempotency_key_reused", "other body")
    problem(stage.nobody.api.post("/api/v1/orders", wish, headers=key), 400, "bad_id", "a body that is refused before")
    other = tenant.fan.api.post(path, {"id": new_id("hld"), "places": [42]}, headers=key, expect=201)
    assert wish["id"] not in other.body.decode(), "an answer of somebody else's"
    tenant.fan.api.delete(f"/api/v1/holds/{other.json['id']}", expect=204)
    for bad in ('""', "x" * 256, "a b", "ä".encode().decode("latin-1"), '"a"b"'):
        reply = stage.nobody.api.post(path, {"id": new_id("hld"), "places": [41]}, headers={"Idempotency-Key": bad})
        equal(reply.status, 400, f"the key {bad[:20]!r}")
    equal(stage.nobody.api.post(path, {"id": new_id("hld"), "places": [41]}, headers={"Idempotency-Key": "x" * 255}).status, 201, "the longest")
    problem(stage.nobody.api.post(path, {"id": wish["id"], "places": [43]}), 409, "id_reused", "the id for other places")


@tap.test("no answer that opens a session is kept for a repeat")
def _():
    kept = lambda: server.number("SELECT count(*) AS n FROM idempotency")  # noqa: E731
    before, key = kept(), {"Idempotency-Key": "sign-in-1"}
    body = {"mail": tenant.fan.mail, "password": PASSWORD}
    tokens = {Api(server).post("/api/v1/sessions", body, headers=key, expect=200).json["token"] for _ in range(2)}
    equal((len(tokens), kept()), (2, before), "tokens, answers kept")
    enrol = f"/api/v1/events/{tenant.event}/devices/enrolments"
    tokens = {stage.owner.api.post(enrol, {"name": "S", "gate": "G"}, headers=key, expect=201).json["token"] for _ in range(2)}
    equal((len(tokens), kept()), (2, before), "one-time codes, answers kept")


@tap.test("signing in tells nothing of who has an account: the same answer, and about the same time")
def _():
    known = [stage.world.fan(f"known{i}") for i in range(12)]
    bodies, times = {}, {"known": [], "unknown": []}
    for i, person in enumerate(known):
        for name, mail in (("known", person.mail), ("unknown", f"unknown{i}@installation.example")):
            began = time.monotonic()
            reply = Api(server).post("/api/v1/sessions", {"mail": mail, "password": "not the password 99"})
            times[name].append(time.monotonic() - began)
            problem(reply, 401, "sign_in_failed", name)
            bodies.setdefault(name, set()).add(reply.body.replace(reply.json["instance"].encode(), b""))
    equal(bodies["known"], bodies["unknown"], "the bodies")
    known_s, unknown_s = (min(times[name]) for name in ("known", "unknown"))  # the least disturbed ones
    print(f"# known {known_s * 1000:.1f} ms, unknown {unknown_s * 1000:.1f} ms")
    assert 1 / 3 < known_s / unknown_s < 3, f"{known_s} and {unknown_s}"


@tap.test("no problem repeats a password or token that was sent")
def _():
    NAMED["secret"] = "A most particular secret 77"
    api, secret = Api(server), NAMED["secret"]
    for body in ({"mail": tenant.fan.mail, "password": secret}, {"mail": "x", "password": secret}, {"mail": 1, "password": secret},
                 {"mail": tenant.fan.mail, "password": {"a": secret}}, {secret: 1}):
        if secret not in body:
            equal(api.post("/api/v1/sessions", body).status // 100, 4, "status")
    for token in (secret, secret * 3):
        api.post("/api/v1/setup/owner", {"token": token, "id": new_id("acc"), "mail": "o@x.example", "name": "O", "password": secret * 5})
    api.get("/api/v1/account", headers={"Authorization": "Bearer " + secret})
    NAMED["secret"] = None
    words = (server.dir / "serve.log").read_text(errors="replace")
    assert secret not in words and PASSWORD not in words and stage.owner.api.token not in words, "the log holds a secret"


@tap.test("every answer of the API so far carried the security headers, no-store, and a request id of its own")
def _():
    assert len(answers) > 5000, f"only {len(answers)} answers"
    print(f"# {len(answers)} answers, " + ", ".join(f"{n}xx: {sum(s // 100 == n for s in answers)}" for n in (2, 3, 4, 5)))
    assert not complaints, f"{len(complaints)} complaints: " + "\n".join(complaints[:20])
    reply = Api(server).get("/api/v1/status", headers={"Request-Id": "mine", "X-Request-Id": "mine"})
    assert "mine" not in str(reply.headers), "the client's id is repeated"
    equal(server.process.process.poll(), None, "the server is still running")


@tap.test("the ledger agrees with all that was done")
def _():
    server.sound()


@tap.test("with limits on: RateLimit headers count down, 429 says when to come back, and nobody else is held back")
def _():
    limited = Server({"limits.rates": "on"})
    try:
        link = limited.owner_link.split("#", 1)[1]
        owner = Person(limited, "owner@limits.example", "Owner", link)
        fan = Person(limited, "fan@limits.example", "Fan")
        quota, window = rates()["WRITES"]
        seen, path = [], f"/api/v1/holds/{new_id('hld')}"
        began = time.monotonic()
        for _ in range(quota + 60):
            reply = fan.api.delete(path)
            if reply.status == 429:
                break
            equal(reply.status, 404, "before the limit")
            match = re.search(r'"(.+?)";r=(\d+)', reply.headers["RateLimit"])
            assert f"q={quota}" in reply.headers["RateLimit-Policy"] and f"w={window}" in reply.headers["RateLimit-Policy"]
            seen.append(int(match.group(2)))
        equal(reply.status, 429, "in the end")
        slack = int((time.monotonic() - began) * quota / window) + 2
        assert quota <= len(seen) <= quota + slack, f"{len(seen)} were let through"
        assert seen[0] >= quota - 2 and seen[-1] <= 1, f"from {seen[0]} to {seen[-1]}"
        assert 1 <= int(reply.headers["Retry-After"]) <= window, reply.headers["Retry-After"]
        equal(owner.api.delete(path).status, 404, "somebody else")
        equal(fan.api.get("/api/v1/orders").status, 200, "another class")
        quota, window = rates()["SIGN_IN"]
        attempts, began = [], time.monotonic()
        # A slow machine hashes so slowly that some of the quota comes back meanwhile.
        while len(attempts) < quota + 3 + int((time.monotonic() - began) * quota / window) and attempts[-1:] != [429]:
            attempts.append(Api(limited).post("/api/v1/sessions", {"mail": "x@limits.example", "password": "wrong wrong wrong"}).status)
        equal((attempts[0], attempts[-1]), (401, 429), "guessing passwords from one address")
        assert len(attempts) > quota, f"{len(attempts)} attempts"
    finally:
        limited.close()


tap.run()
