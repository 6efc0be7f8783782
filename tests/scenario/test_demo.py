#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration as a visitor runs it: first start, purchase, Ctrl-C, second start, parts that die; and the admin commands."""
import os
import pathlib
import shutil
import signal
import ssl
import stat
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import gatehouse as g

tap = g.Tap()
at = {"dir": pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-demo-"))}


class Demo:
    """gatehouse demo in a process group of its own, as a terminal would start it. Looks like a Server to a Person."""

    def __init__(self, *more, data="demo"):
        self.dir = at["dir"]
        self.data = self.dir / data
        self.log = open(self.dir / "demo.log", "wb")
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(g.PROGRAM), "demo", "--dir", str(self.data), "--port", "0", "--tls-port", "0", "--sandbox-port", "0", "--json", *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        at["demo"] = self
        line = self.process.stdout.readline()
        assert line, "it ended before it was ready:\n" + self.words()
        self.took = time.monotonic() - began
        self.ready = g.json.loads(line)
        self.origin = self.ready["http"]
        self.port = int(self.origin.rsplit(":", 1)[1])

    def words(self):
        return (self.dir / "demo.log").read_text(errors="replace")[-3000:]

    def children(self):
        """{"gatehouse-signer": pid, "gatehouse-courier": pid, "gatehouse-sandbox": pid}"""
        found = {}
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            found[pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()] = int(pid)
        return found

    def finish(self, timeout_s=10):
        """(exit status, what it printed)"""
        try:
            self.process.wait(timeout_s * g.SLOW)
            out = self.process.stdout.read()
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process.stdout.close()
            self.log.close()
            at["demo"] = None
        return self.process.returncode, out

    def interrupt(self):
        """Ctrl-C: to every process of the terminal. Returns (status, printed, seconds)."""
        children = self.children().values()
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        status, out = self.finish()
        took = time.monotonic() - began
        for pid in children:
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"process {pid} is left"
        return status, out, took

    def events(self):
        return {e["name"]: e for e in g.Api(self).get("/api/v1/events", expect=200).json["data"]}

    def secret(self, name):
        return (self.data / name).read_text().strip()


def order_from(origin):
    """A place on the balcony, asked for by a page of that origin."""
    held = at["fan"].hold(at["club"]["id"], {"area": {"area": 1, "count": 1}})
    return at["fan"].api.post("/api/v1/orders", {"id": g.new_id("ord"), "hold": held["id"]}, headers={"Origin": origin}, expect=201).json


def session_url(provider, key, success_url):
    """The page of a session made for a shop at that address."""
    wish = {"mode": "payment", "success_url": success_url, "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": "500", "line_items[0][price_data][product_data][name]": "A ticket"}
    request = urllib.request.Request(provider + "/v1/checkout/sessions", urllib.parse.urlencode(wish).encode(),
                                     {"Authorization": "Bearer " + key})
    return g.json.loads(urllib.request.urlopen(request, timeout=10).read())["url"]


def demo_fails(*arguments):
    status, out, err = g.command("demo", *arguments)
    g.equal(status, 2, err)
    return err


@tap.test("the first start seeds three events and says where everything is", vital=True)
def first():
    demo = Demo("--local")
    g.equal(demo.ready["demo"], True)
    g.equal(demo.ready["https"], None)
    assert demo.ready["sandbox"].startswith("http://127.0.0.1:"), demo.ready
    assert "/staff/setup#" in demo.ready["owner_link"]
    assert demo.ready["scanner_link"].startswith(demo.origin + "/gate/#"), demo.ready
    g.equal(demo.ready["sandbox_plain"], None)  # it is plain already
    said = demo.words().splitlines()
    assert said and all(line.startswith("Preparing: ") for line in said), said
    events = demo.events()
    g.equal(sorted(e["capacity"] for e in events.values())[-1], 80000)
    g.equal(len(events), 3)
    g.equal({e["currency"] for e in events.values()}, {"EUR"})
    at["club"] = next(e for e in events.values() if not e["seated"])
    g.equal([a["name"] for a in at["club"]["areas"]], ["Dance floor", "Balcony"])
    assert g.calendar_s(at["club"]["doors_at"]) < time.time() < g.calendar_s(at["club"]["ends_at"])
    at["events"] = {e["id"] for e in events.values()}


@tap.test("a visitor buys a ticket with a test card; the mail is on the page", vital=True)
def buy():
    demo = at["demo"]
    at["fan"] = g.Person(demo, "ann@fan.example", "Ann Fan")
    order = at["fan"].order(at["fan"].hold(at["club"]["id"], {"area": {"area": 0, "count": 2}}))
    box = g.Sandbox.__new__(g.Sandbox)
    box.origin, box.server = demo.ready["sandbox"], demo
    g.equal(box.pay(at["fan"].checkout(order))[0], 303)
    order = at["fan"].wait(order, lambda o: o["status"] == "paid", "paid")
    g.equal(len(order["tickets"]), 2)
    assert at["fan"].api.get(f"/api/v1/tickets/{order['tickets'][0]}/code", expect=200).json["code"].startswith("GH1:")
    g.until("the mail", lambda: g.Api(demo).get("/api/v1/demo/mails", expect=200).json["data"], 15)
    at["order"] = order


@tap.test("the scanner's link makes one scanner, and its ticket is admitted at the club")
def scanner():
    demo = at["demo"]
    token = demo.ready["scanner_link"].split("#", 1)[1]
    gate = g.Scanner(demo, token)
    g.equal((gate.enrolled["name"], gate.enrolled["gate"]), ("Demo scanner", "Main door"))
    code = at["fan"].api.get(f"/api/v1/tickets/{at['order']['tickets'][0]}/code", expect=200).json["code"]
    g.equal([gate.scan(code)["verdict"] for _ in range(2)], ["admitted", "rejected"])
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # of RFC 8032
    again = {"id": g.new_id("dev"), "token": token, "public_key": g.base64.b64encode(key).decode()}
    g.equal(g.Api(demo).post("/api/v1/devices/enrol", again).problem, "link_used")
    at["scanner"] = token


@tap.test("the owner's link works; admin makes none while the server runs")
def owner():
    demo = at["demo"]
    g.Person(demo, "owner@northlight.example", "The Owner", demo.ready["owner_link"].split("#", 1)[1])
    status, _, err = g.command("admin", "owner-link", "--dir", demo.data)
    g.equal(status, 2)  # the server runs
    assert "in use" in err, err


@tap.test("the audit and the log are sound beside it")
def sound():
    for what in ("audit", "verify"):
        status, out, err = g.command("ledger", what, "--dir", at["demo"].data)
        g.equal(status, 0, out + err)
    status, out, _ = g.command("ledger", "audit", "--dir", at["demo"].data, "--json")
    g.equal(g.json.loads(out)["mints"], 1)


@tap.test("a second one with the same data, with a taken port, or on a real installation is refused in one sentence")
def refused():
    demo = at["demo"]
    assert "runs already" in demo_fails("--dir", demo.data, "--local", "--port", "0", "--sandbox-port", "0")
    other = at["dir"] / "other"
    err = demo_fails("--dir", other, "--local", "--port", demo.port, "--sandbox-port", "0")
    assert "--port" in err and str(demo.port) in err and err.count("\n") == 1, err
    for option in ("--sandbox-plain-port", "--sandbox-port"):
        more = [word for name in ("--port", "--tls-port", "--sandbox-port") if name != option for word in (name, "0")]
        err = demo_fails("--dir", other, *more, option, demo.port)
        assert f"with {option}," in err and str(demo.port) in err and err.count("\n") == 1, err
    assert not other.exists()
    assert "--port" in demo_fails("--dir", other, "--port", "http")
    real = at["dir"] / "real"
    g.command("init", "--dir", real, expect=0)
    assert "no demonstration" in demo_fails("--dir", real, "--local", "--port", "0", "--sandbox-port", "0")
    g.equal(demo_fails("--colour").splitlines()[0], "gatehouse: --colour is not an option of this command.")


@tap.test("Ctrl-C ends all of it within two seconds, with status 0")
def interrupt():
    status, out, took = at["demo"].interrupt()
    g.equal(status, 0)
    assert took < 2 * g.SLOW, f"it took {took:.1f} s"
    for word in ("shop", "staff", "gate", "mails", "4242 4242 4242 4242", "Ctrl-C", at["scanner"], "within 15 minutes"):
        assert word in out, out
    too_wide = [line for line in out.splitlines() if len(line) > 80 and str(at["dir"]) not in line]
    assert not too_wide, too_wide


@tap.test("what it left is private")
def private():
    for path in at["dir"].joinpath("demo").rglob("*"):
        if path.is_file() and path.parent.name in ("keys", "signer", "mint", "db", "sandbox"):
            g.equal(stat.S_IMODE(path.stat().st_mode) & 0o77, 0, str(path))


@tap.test("the second start is quick, keeps its data, and offers no owner link")
def second():
    demo = Demo()  # with HTTPS this time
    assert demo.took < 5 * g.SLOW, f"it took {demo.took:.1f} s"
    g.equal(demo.ready["owner_link"], None)
    assert demo.ready["scanner_link"].split("#", 1)[1] != at["scanner"]
    g.equal(demo.words(), "")
    g.equal({e["id"] for e in demo.events().values()}, at["events"])
    at["fan"].server, at["fan"].api = demo, g.Api(demo, at["fan"].api.token)
    g.equal(at["fan"].see(at["order"])["status"], "paid")


@tap.test("phones reach it and the payment page by HTTPS, under the authority they can fetch")
def https():
    demo, ca = at["demo"], at["demo"].data / "tls/ca.pem"
    context = ssl.create_default_context(cafile=str(ca))
    g.equal(urllib.request.urlopen(demo.ready["https"] + "/ca.crt", context=context, timeout=10).read(), ca.read_bytes())
    assert demo.ready["sandbox"].startswith("https://")
    try:
        urllib.request.urlopen(demo.ready["sandbox"] + "/", context=context, timeout=10)
    except urllib.error.HTTPError:
        pass  # any answer came through a verified connection
    order = order_from(demo.ready["https"])
    assert at["fan"].checkout(order).startswith(demo.ready["sandbox"] + "/")


@tap.test("a buyer on this machine pays without a certificate and comes back to where the purchase began")
def plain():
    demo = at["demo"]
    plain, box = demo.ready["sandbox_plain"], g.Sandbox.__new__(g.Sandbox)
    assert plain.startswith("http://127.0.0.1:") and plain != demo.ready["sandbox"], demo.ready
    order, box.origin = order_from(demo.origin), plain
    page = at["fan"].checkout(order)
    assert page.startswith(plain + "/pay/"), page
    policy = urllib.request.urlopen(page, timeout=10).headers["Content-Security-Policy"]
    assert policy.endswith(f"form-action 'self' {demo.origin}"), policy
    status, location, _ = box.pay(page)
    g.equal((status, location), (303, f"{demo.origin}/orders/{order['id']}"))
    at["fan"].wait(order, lambda o: o["status"] == "paid", "paid")
    for shop, where in (("http://localhost:1/o", plain), ("http://[::1]/o", plain), ("http://127.0.0.1", plain),
                        ("http://localhost.example/o", demo.ready["sandbox"]), ("http://127.0.0.10/o", demo.ready["sandbox"])):
        page = session_url(plain, demo.secret("provider-key"), shop)
        assert page.startswith(where + "/pay/"), (shop, page)
    policy = urllib.request.urlopen(session_url(plain, demo.secret("provider-key"), "http://[::1]/o"), timeout=10).headers
    assert policy["Content-Security-Policy"].endswith("form-action 'self' http:"), policy  # no policy can name an IPv6 address


@tap.test("--verbose says what goes well, too")
def verbose():
    g.equal(at["demo"].interrupt()[0], 0)
    demo = Demo("--local", "--verbose")
    g.until("the courier's word", lambda: '"level":"info"' in demo.words())
    g.equal(demo.interrupt()[0], 0)


@tap.test("when a part dies, it says so and ends with status 2", vital=True)
def parts():
    for part in ("gatehouse-sandbox", "gatehouse-signer", "gatehouse-courier"):
        demo = Demo("--local")
        os.kill(demo.children()[part], signal.SIGKILL)
        status, _ = demo.finish()
        g.equal(status, 2, part)
        assert part.rsplit("-", 1)[1] in demo.words() and "has ended" in demo.words(), demo.words()


@tap.test("a day later there is another night at the club, and the rest is as it was")
def tomorrow():
    clock = at["dir"] / "clock"
    clock.write_text(f"{24 * 3600 * 1000}\n")
    g.set_settings(at["dir"] / "demo/gatehouse.conf", {"test.clock_file": clock})
    demo = Demo("--local")
    events = demo.events()
    fresh = [e for e in events.values() if e["id"] not in at["events"]]
    g.equal((len(events), len(fresh)), (3, 1))
    g.equal(fresh[0]["name"], at["club"]["name"])
    assert g.calendar_s(fresh[0]["doors_at"]) < time.time() + 24 * 3600 < g.calendar_s(fresh[0]["ends_at"])
    g.equal(demo.interrupt()[0], 0)
    g.equal(g.command("ledger", "audit", "--dir", demo.data)[0], 0)


@tap.test("admin says that there is an owner; capacity is approved at the machine")
def admin():
    data = at["dir"] / "demo"
    status, _, err = g.command("admin", "owner-link", "--dir", data)
    g.equal(status, 1, err)
    before = (data / "signer/approvals").exists()
    g.command("admin", "approve-capacity", "--dir", data, "--event", at["club"]["id"], "--places", "600", expect=0)
    assert not before and (data / "signer/approvals").exists()
    g.equal(g.command("admin", "approve-capacity", "--dir", data, "--event", g.new_id("evt"), "--places", "600")[0], 2)
    g.equal(g.command("admin", "approve-capacity", "--dir", data, "--event", at["club"]["id"], "--places", "none")[0], 2)


@tap.test("check names what is wrong")
def check():
    data = at["dir"] / "demo"
    g.set_settings(data / "gatehouse.conf", {"test.clock_file": "", "mail.dir": "mail"})
    status, out, _ = g.command("admin", "check", "--dir", data)
    g.equal((status, "WRONG" in out), (0, False), out)
    (data / "provider-key").chmod(0o644)
    status, out, _ = g.command("admin", "check", "--dir", data)
    g.equal(status, 1)
    wrong = [line for line in out.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 1 and "provider-key" in wrong[0], out


@tap.test("an altered journal of the signer is named")
def journal():
    data = at["dir"] / "demo"
    path = data / "signer/mint/00000001.journal"
    good = path.read_bytes()
    path.write_bytes(good[:-30] + bytes([good[-30] ^ 1]) + good[-29:])
    status, out, _ = g.command("ledger", "audit", "--dir", data)
    g.equal(status, 1)
    assert "mint journal" in out, out
    path.write_bytes(good)
    g.equal(g.command("ledger", "audit", "--dir", data)[0], 0)


@tap.cleanup
def clean():
    if at.get("demo"):
        os.killpg(at["demo"].process.pid, signal.SIGKILL)
        at["demo"].process.wait()
    shutil.rmtree(at["dir"], ignore_errors=True)


tap.run()
