#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From an empty directory to an admitted fan, over the API alone, with the sandbox as the payment provider; then the ledger is
checked, and what was altered by hand is named."""
import subprocess
import threading
import time

import gatehouse as g

tap = g.Tap()
at = {}  # what earlier steps found


@tap.test("init, serve and the sandbox start; the owner is made by the one-time link", vital=True)
def start():
    at["server"], at["sandbox"] = g.with_sandbox()
    assert "/staff/setup#" in at["server"].owner_link
    at["world"] = g.World(at["server"])


@tap.test("the one-time owner link works once")
def owner_once():
    token = at["server"].owner_link.split("#", 1)[1]
    reply = g.Api(at["server"]).post("/api/v1/setup/owner", {
        "token": token, "id": g.new_id("acc"), "mail": "second@first.example", "name": "Second", "password": g.PASSWORD})
    assert 400 <= reply.status < 500, reply.status


@tap.test("an event with a seating plan goes on sale and is listed", vital=True)
def event():
    at["event"] = at["world"].seated(4, 10)
    listed = g.Api(at["server"]).get("/api/v1/events", expect=200).json["data"]
    assert at["event"] in [e["id"] for e in listed]
    one = g.Api(at["server"]).get(f"/api/v1/events/{at['event']}", expect=200).json
    g.equal((one["capacity"], one["categories"][0]["free"], one["categories"][0]["total_minor"]), (40, 40, 4250))


@tap.test("a fan registers and signs in with a second factor", vital=True)
def fan():
    at["fan"] = at["world"].fan("ada")
    g.equal(at["fan"].api.get("/api/v1/account", expect=200).json["account"]["name"], "Ada Fan")


@tap.test("before the second factor nothing can be bought")
def level():
    api = g.Api(at["server"])
    api.token = api.post("/api/v1/sessions", {"mail": at["fan"].mail, "password": g.PASSWORD}, expect=200).json["token"]
    reply = api.post(f"/api/v1/events/{at['event']}/holds", {"id": g.new_id("hld"), "places": [0]}, expect=401)
    g.equal(reply.problem, "second_factor_required")


@tap.test("two seats are held, shown as held, and ordered", vital=True)
def order():
    hold = at["fan"].hold(at["event"], {"places": [11, 12]})
    g.equal([p["place"] for p in hold["places"]], [11, 12])
    g.equal(hold["total"], {"amount_minor": 8500, "currency": "EUR"})
    g.equal(hold["places"][0]["row"] + "/" + hold["places"][0]["seat"], "2/2")
    binary = g.Api(at["server"]).get(f"/api/v1/events/{at['event']}/availability.bin", expect=200).body
    g.equal(binary[:4], b"GHA1")
    states = [binary[16 + place // 4] >> 2 * (place % 4) & 3 for place in (10, 11, 12, 13)]
    g.equal(states, [0, 1, 1, 0], "states of the places")
    at["order"] = at["fan"].order(hold)
    g.equal(at["order"]["status"], "awaiting_payment")


@tap.test("whoever waits for the payment page is told what a reader reads, of two places and of eight")
def waiting():
    fan = at["fan"]
    large = fan.order(fan.hold(at["event"], {"places": list(range(30, 38))}))
    for order in (at["order"], large):
        waited = fan.api.get(f"/api/v1/orders/{order['id']}?wait=25&version={order['version']}", expect=200).json
        assert waited["checkout_url"].startswith(at["sandbox"].origin), waited
        g.equal(waited, fan.see(order))
        g.equal(len(waited["places"]), len(order["places"]))
    fan.api.post(f"/api/v1/orders/{large['id']}/cancel", expect=202)
    fan.wait(large, lambda o: o["status"] == "cancelled", "cancelled")


def cancelled(order):
    fan = at["fan"]
    fan.api.post(f"/api/v1/orders/{order['id']}/cancel", expect=202)
    fan.wait(order, lambda o: o["status"] == "cancelled", "cancelled")


def post_order(query, expect=201, headers=None, id=None):
    fan = at["fan"]
    hold = fan.hold(at["event"], {"places": [20, 21]}) if not id else at["asked"]
    at["asked"] = hold
    return fan.api.post(f"/api/v1/orders{query}", {"id": id or g.new_id("ord"), "hold": hold["id"]}, expect=expect, headers=headers or {}).json


@tap.test("an order that is to wait is answered with the payment page, and again when it is sent again")
def order_waits():
    order = post_order("?wait=25")
    assert order["checkout_url"].startswith(at["sandbox"].origin), order
    g.equal(order, at["fan"].see(order))
    g.equal(post_order("?wait=25", id=order["id"]), order, "sent again")
    cancelled(order)


@tap.test("an order whose payment page does not come is answered as it is when its time is over, and is placed")
def order_waits_in_vain():
    at["sandbox"].fault("slow", delay_ms=3000)
    order = post_order("?wait=1")
    g.equal((order["status"], order["checkout_url"]), ("awaiting_payment", None))
    assert at["fan"].checkout(order).startswith(at["sandbox"].origin)
    cancelled(order)


@tap.test("who waits for the payment page of an order that is cancelled meanwhile is told so at once")
def order_cancelled_while_waiting():
    at["sandbox"].fault("slow", delay_ms=4000)
    id, heard = g.new_id("ord"), []
    other = g.Api(at["server"])
    other.token = at["fan"].api.token
    hold = at["fan"].hold(at["event"], {"places": [22, 23]})
    asked = threading.Thread(target=lambda: heard.append(
        other.post("/api/v1/orders?wait=25", {"id": id, "hold": hold["id"]}, expect=201).json))
    asked.start()
    g.until("the order", lambda: at["fan"].api.get(f"/api/v1/orders/{id}", expect=(200, 404)).status == 200)
    at["fan"].api.post(f"/api/v1/orders/{id}/cancel", expect=202)
    asked.join(3)
    assert heard and heard[0]["cancelling"], heard
    at["fan"].wait({"id": id}, lambda o: o["status"] == "cancelled", "cancelled")


@tap.test("an order with an Idempotency-Key is answered at once, and a repeat hears the same")
def order_with_key():
    key = {"Idempotency-Key": "once-and-for-all"}
    order = post_order("?wait=25", headers=key)
    g.equal(order["checkout_url"], None)
    at["fan"].checkout(order)
    g.equal(post_order("?wait=25", headers=key, id=order["id"]), order)
    cancelled(order)


@tap.test("a wait that is no number of seconds is refused, and nothing is ordered")
def order_waits_badly():
    before = len(at["fan"].api.get("/api/v1/orders", expect=200).json["data"])
    for wait in ("0", "61", "soon", "-1", ""):
        problem = post_order(f"?wait={wait}", expect=400)
        g.equal(problem["type"], "/problems/bad_query", str(problem))
        at["fan"].api.delete(f"/api/v1/holds/{at['asked']['id']}", expect=204)
    g.equal(len(at["fan"].api.get("/api/v1/orders", expect=200).json["data"]), before)


@tap.test("the fan pays on the sandbox's page and the order is paid, with two tickets", vital=True)
def pay():
    url = at["fan"].checkout(at["order"])
    assert url.startswith(at["sandbox"].origin), url
    status, location, page = at["sandbox"].pay(url)
    g.equal(status, 303, page[:300])
    assert location.startswith(at["server"].origin), location
    at["order"] = at["fan"].wait(at["order"], lambda o: o["status"] == "paid", "paid")
    g.equal(len(at["order"]["tickets"]), 2)


@tap.test("the confirmation mail is in the folder, with the link to the tickets")
def mail():
    folder = at["server"].data / "mail"

    def look():
        for path in folder.glob("*.eml"):
            text = path.read_text(errors="replace")
            if at["fan"].mail in text and "/tickets" in text:
                return text
        return None
    g.until("the mail", look, 15)


@tap.test("the tickets have codes, and the PNG shows the very code", vital=True)
def codes():
    tickets = at["fan"].api.get("/api/v1/tickets", expect=200).json["data"]
    g.equal(sorted(t["id"] for t in tickets), sorted(at["order"]["tickets"]))
    at["tickets"] = sorted(tickets, key=lambda t: t["place"]["seat"])
    at["codes"] = []
    for ticket in at["tickets"]:
        code = at["fan"].api.get(f"/api/v1/tickets/{ticket['id']}/code", expect=200).json["code"]
        assert code.startswith("GH1:"), code[:20]
        at["codes"].append(code)
    png = at["fan"].api.get(f"/api/v1/tickets/{at['tickets'][0]['id']}/code.png", expect=200)
    path = at["server"].dir / "code.png"
    path.write_bytes(png.body)
    read = subprocess.run(["zbarimg", "--quiet", "--raw", str(path)], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
    g.equal(read.strip(), at["codes"][0], "what a reader sees")
    svg = at["fan"].api.get(f"/api/v1/tickets/{at['tickets'][0]['id']}/code.svg", expect=200).body
    assert b"<svg" in svg


@tap.test("somebody else sees neither order nor ticket nor code")
def others():
    at["other"] = at["world"].fan("eve")
    for path in (f"/api/v1/orders/{at['order']['id']}", f"/api/v1/tickets/{at['tickets'][0]['id']}",
                 f"/api/v1/tickets/{at['tickets'][0]['id']}/code"):
        at["other"].api.get(path, expect=404)


@tap.test("a scanner is enrolled; its one-time code works once", vital=True)
def enrol():
    token = g.enrolment(at["world"], at["event"], gate="North Gate")["token"]
    at["scanner"] = g.Scanner(at["server"], token)
    g.equal(at["scanner"].enrolled["gate"], "North Gate")
    reply = g.Api(at["server"]).post("/api/v1/devices/enrol", {
        "id": g.new_id("dev"), "token": token, "public_key": "A" * 43 + "="})
    assert 400 <= reply.status < 500, reply.status


@tap.test("the first scan admits", vital=True)
def admit():
    at["stream"] = g.Stream(at["world"].owner.api, f"/api/v1/organisers/{at['world'].organiser}/stream")
    verdict = at["scanner"].scan(at["codes"][0])
    g.equal((verdict["verdict"], verdict["reason"]), ("admitted", "ok"))
    g.equal(verdict["ticket"]["id"], at["tickets"][0]["id"])


def alert_within_a_second(words, kind, act):
    began = time.monotonic()
    result = act()
    when, data = at["stream"].wait(words, lambda event, data: event == "alert" and kind in data["kind"])
    assert when - began < 1.0 * g.SLOW, f"the alert took {when - began:.2f} s"
    return result, data


@tap.test("the second scan is refused with gate and time, and raises an alert within a second")
def again():
    second = g.Scanner(at["server"], g.enrolment(at["world"], at["event"], gate="South Gate")["token"])
    verdict, alert = alert_within_a_second("the alert of a duplicate", "duplicate", lambda: second.scan(at["codes"][0]))
    g.equal((verdict["verdict"], verdict["reason"]), ("rejected", "already_admitted"))
    g.equal(verdict["first"]["gate"], "North Gate")
    assert abs(g.calendar_s(verdict["first"]["at"]) - time.time()) < 60
    assert verdict["say"]
    g.equal(alert["event"], at["event"])


def flip(code):
    """Another character where any value is valid base45: the least digit of a group of three."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    place = 4 + 3 * (len(code[4:]) // 3 * 2 // 3)
    digit = alphabet.index(code[place])
    return code[:place] + alphabet[digit + 1 if digit == 0 else digit - 1] + code[place + 1:]


@tap.test("one character flipped: forged, with an alert within a second")
def forged():
    verdict, _ = alert_within_a_second("the alert of a forgery", "forge", lambda: at["scanner"].scan(flip(at["codes"][1])))
    g.equal((verdict["verdict"], verdict["reason"]), ("rejected", "forged"))


@tap.test("a scanner that lies about its verdict changes nothing")
def lying():
    verdict = at["scanner"].scan("GH1:NOT A TICKET", verdict="admitted")
    g.equal(verdict["verdict"], "rejected")
    verdict = at["scanner"].scan(at["codes"][1], verdict="rejected")
    g.equal(verdict["verdict"], "admitted")


@tap.test("a scan sent again gets the same answer; its number with another code is a conflict")
def repeat():
    body = at["scanner"].body(at["codes"][1])
    first = at["scanner"].api.post("/api/v1/scans", body, expect=200).json
    again_ = at["scanner"].api.post("/api/v1/scans", body, expect=200).json
    g.equal(again_, first)
    other = at["scanner"].body(at["codes"][0], sequence=at["scanner"].sequence)
    reply = at["scanner"].api.post("/api/v1/scans", other)
    g.equal((reply.status, reply.problem), (409, "sequence_reused"))


@tap.test("a scan that the device did not sign is refused")
def unsigned():
    body = at["scanner"].body(at["codes"][0])
    body["scanned_at"] = g.time_text(-5)
    reply = at["scanner"].api.post("/api/v1/scans", body)
    assert reply.status in (401, 403), reply.status


@tap.test("every scan stands in the list, the refused ones too")
def listed():
    scans = at["world"].owner.api.get(f"/api/v1/organisers/{at['world'].organiser}/scans?event={at['event']}", expect=200).json["data"]
    reasons = [scan["reason"] for scan in scans]
    for reason in ("ok", "already_admitted", "forged"):
        assert reason in reasons, reasons


@tap.test("a revoked scanner scans no more")
def revoked():
    device = g.Scanner(at["server"], g.enrolment(at["world"], at["event"])["token"])
    at["world"].owner.api.delete(f"/api/v1/devices/{device.id}", expect=204)
    reply = device.api.post("/api/v1/scans", device.body(at["codes"][0]))
    assert 400 <= reply.status < 500, (reply.status, reply.body)


@tap.test("staff see the buyer, and the reading leaves a record")
def record():
    orders = at["world"].owner.api.get(f"/api/v1/organisers/{at['world'].organiser}/orders?event={at['event']}", expect=200).json["data"]
    found = next(o for o in orders if o["order"]["id"] == at["order"]["id"])
    g.equal((found["buyer"]["name"], found["buyer"]["mail"]), ("Ada Fan", at["fan"].mail))
    records = at["world"].owner.api.get(f"/api/v1/organisers/{at['world'].organiser}/access_records", expect=200).json["data"]
    assert records


@tap.test("the log verifies and the audit is clean, beside the running server")
def sound():
    g.until("every entry is published", lambda: at["server"].ledger("verify")[1]["entries"] ==
            at["server"].number("SELECT count(*) FROM entry"), 10)
    at["server"].sound()


@tap.test("the server and the sandbox end when told to, with status 0")
def stop():
    at["stream"].close()
    g.equal(at["server"].stop(), 0)
    at["sandbox"].close()
    at["server"].sound()


def blob(text):
    return "x'" + g.id_bytes(text).hex() + "'"


def named(ticket):
    status, answer = at["server"].ledger("audit")
    g.equal(status, 1, "exit status of the audit")
    subjects = [finding["subject"] for finding in answer["findings"]]
    assert ticket in subjects, answer["findings"]


@tap.test("a ticket row changed with the sqlite3 shell is named by the audit")
def altered():
    at["altered"] = at["tickets"][1]["id"]
    at["server"].sql(f"UPDATE ticket SET price_minor = price_minor + 1 WHERE id = {blob(at['altered'])}")
    named(at["altered"])


@tap.test("it is named, too, when the ledger's entry was altered with it")
def altered_with_entry():
    rows = at["server"].sql("SELECT entry_no FROM entry WHERE id = (SELECT last_entry_id FROM ticket WHERE id = "
                            f"{blob(at['altered'])})")
    number = rows[0]["entry_no"]
    at["server"].sql("UPDATE entry SET commitment = randomblob(32), sealed = CAST(substr(sealed, 1, length(sealed) - 8) || randomblob(8) AS BLOB)"
                     f" WHERE entry_no = {number}")
    named(at["altered"])


@tap.cleanup
def clean():
    if "sandbox" in at:
        at["sandbox"].close()
    if "server" in at:
        at["server"].close()


tap.run()
