# SPDX-License-Identifier: Apache-2.0
"""What the scenario tests share: servers of their own in temporary directories, a client of the API, an authenticator app, a
scanner, the payment provider, and TAP.

Nothing here knows how the programs work inside: they are started as an operator starts them, and asked over sockets.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(os.environ.get("GATEHOUSE_ROOT") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD") or ROOT / "build")
PROGRAM = BUILD / "src/prog/gatehouse"
SANDBOX = BUILD / "src/prog/sandbox/gatehouse-sandbox"
PASSWORD = "correct horse battery staple 9"
SLOW = float(os.environ.get("GATEHOUSE_TEST_SLOW", "1"))  # for sanitizers and slow machines


# ---- TAP ---------------------------------------------------------------------------------------------------------------

class Tap:
    """Tests in the order they are written. One that fails does not stop the others, unless it is called vital."""

    def __init__(self):
        self.tests, self.cleanups = [], []

    def test(self, words, vital=False):
        def keep(function):
            self.tests.append((words, function, vital))
            return function
        return keep

    def cleanup(self, function):
        self.cleanups.append(function)

    def run(self):
        print(f"1..{len(self.tests)}", flush=True)
        failed, stopped = 0, None
        try:
            for number, (words, function, vital) in enumerate(self.tests, 1):
                try:
                    if stopped:
                        raise AssertionError(f"not run: '{stopped}' failed")
                    function()
                except Exception:  # noqa: BLE001: a test may fail in any way
                    failed += 1
                    print(f"not ok {number} - {words}")
                    for line in traceback.format_exc().splitlines():
                        print(f"# {line}")
                    if vital and not stopped:
                        stopped = words
                else:
                    print(f"ok {number} - {words}")
                sys.stdout.flush()
        finally:
            for function in reversed(self.cleanups):
                function()
        sys.exit(1 if failed else 0)


def equal(got, want, words=""):
    assert got == want, f"{words}: got {got!r}, want {want!r}"


def until(words, look, timeout_s=10.0, every_s=0.02):
    """The first answer of look() that is true."""
    deadline = time.monotonic() + timeout_s * SLOW
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain: {words}"
        time.sleep(every_s)


# ---- small things ------------------------------------------------------------------------------------------------------

def free_port():
    """Below the ports that the kernel hands out itself, so that nobody takes it while a server is being started again."""
    while True:
        port = random.SystemRandom().randrange(11000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix):
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return prefix + "_" + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def id_bytes(text):
    number = 0
    for character in text.split("_", 1)[1]:
        number = number << 5 | ALPHABET.index(character)
    return number.to_bytes(16, "big")


def time_text(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def totp(secret, steps=0, at=None):
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int((time.time() if at is None else at) // 30) + steps
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7fffffff) % 1000000:06d}"


# ---- servers -----------------------------------------------------------------------------------------------------------

class Process:
    """A program that says in one line of JSON that it is ready."""

    def __init__(self, arguments, log_path):
        self.log_path = log_path
        self.log = open(log_path, "ab")
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log)
        self.ready = self._read_ready()

    def _read_ready(self):
        line, deadline = b"", time.monotonic() + 60 * SLOW
        while not line.endswith(b"\n"):
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                byte = os.read(self.process.stdout.fileno(), 1)
                if not byte:
                    self.end(signal.SIGKILL)
                    raise AssertionError("it ended before it was ready:\n" + self.words())
                line += byte
            if time.monotonic() > deadline:
                self.end(signal.SIGKILL)
                raise AssertionError("it was not ready in time:\n" + self.words())
        return json.loads(line)

    def words(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")[-4000:]

    def end(self, how=signal.SIGTERM, timeout_s=30):
        """Returns the exit status; kills what does not end."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout_s * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("it did not end:\n" + self.words()) from None
        finally:
            self.process.stdout.close()
            self.log.close()


def set_settings(path, settings):
    """Set {"section.key": value} in a settings file; commented and unset keys are added to their section."""
    lines = path.read_text().splitlines()
    for name, value in settings.items():
        section, key = name.split(".")
        head = next((i for i, line in enumerate(lines) if line.strip() == f"[{section}]"), None)
        if head is None:
            lines += [f"[{section}]", f"{key} = {value}"]
            continue
        end = next((i for i in range(head + 1, len(lines)) if lines[i].startswith("[")), len(lines))
        lines[head + 1:end] = [f"{key} = {value}"] + [
            line for line in lines[head + 1:end] if not re.match(rf"\s*{key}\s*=", line)]
    path.write_text("\n".join(lines) + "\n")


class Server:
    """gatehouse init and serve in a directory of its own."""

    def __init__(self, settings=None, start=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-scenario-"))
        self.data = self.dir / "data"
        self.port, self.process = free_port(), None
        self.origin = f"http://127.0.0.1:{self.port}"
        self.clock, self.ahead_s = self.dir / "clock", 0.0
        self.clock.write_text("0\n")
        command("init", "--dir", self.data, expect=0)
        (self.data / "mail").mkdir(exist_ok=True)
        self.configure({
            "server.listen": f"127.0.0.1:{self.port}", "server.origin": self.origin, "mail.dir": self.data / "mail",
            "limits.rates": "off", "limits.connections_per_client": "0", "test.clock_file": self.clock,
            **(settings or {})})
        self.owner_link = None
        if start:
            self.start()

    def configure(self, settings):
        set_settings(self.data / "gatehouse.conf", settings)

    def start(self):
        assert self.process is None
        self.process = Process([PROGRAM, "serve", "--dir", self.data], self.dir / "serve.log")
        self.owner_link = self.process.ready.get("owner_link") or self.owner_link
        return self

    def stop(self):
        process, self.process = self.process, None
        return process.end() if process else None

    def kill(self):
        process, self.process = self.process, None
        process.end(signal.SIGKILL)

    def close(self):
        try:
            if self.process:
                self.process.end(signal.SIGKILL)
        finally:
            self.process = None
            if os.environ.get("GATEHOUSE_TEST_KEEP"):
                print(f"# kept: {self.dir}")
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    def move_clock(self, ms):
        """Set how far the server's clock is ahead (it never goes back), and wait until it has seen it."""
        self.clock.write_text(f"{ms}\n")
        self.ahead_s = ms / 1000
        want = time.time() + ms / 1000
        until("the clock moves", lambda: abs(self.now_s() - want) < 5)

    def now_s(self):
        text = Api(self).get("/api/v1/status", expect=200).json["time"]
        return calendar_s(text)

    def api(self, token=None):
        return Api(self, token)

    def secret(self, name):
        return (self.data / name).read_text().strip()

    def database(self):
        return self.data / "db/gatehouse.sqlite"

    def sql(self, text):
        """Rows as lists of texts, by the sqlite3 shell (which reads what is committed, beside the server)."""
        out = subprocess.run(["sqlite3", "-batch", "-json", "-cmd", ".timeout 20000", str(self.database()), text], check=True,
                             text=True, stdout=subprocess.PIPE).stdout
        return json.loads(out) if out.strip() else []

    def number(self, text):
        return next(iter(self.sql(text)[0].values()))

    def ledger(self, what, *more):
        """(exit status, answer) of gatehouse ledger verify|audit --json."""
        status, out, err = command("ledger", what, "--dir", self.data, "--json", *more)
        try:
            return status, json.loads(out.strip().splitlines()[-1] if what == "verify" else out)
        except (ValueError, IndexError):
            raise AssertionError(f"ledger {what} ended with {status}: {out!r} {err!r}") from None

    def sound(self):
        """Both checks pass."""
        for what in ("audit", "verify"):
            status, out, err = command("ledger", what, "--dir", self.data, "--json")
            assert status == 0, f"ledger {what} ended with {status}: {out}{err}"

    def counts(self):
        """How many rows every table has."""
        names = [row["name"] for row in self.sql("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
        query = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM \"{name}\"" for name in names)
        return {row["name"]: row["n"] for row in self.sql(query)}


def calendar_s(text):
    import calendar
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def command(*arguments, expect=None, stdin=None, timeout_s=60):
    """(exit status, output, errors) of the program."""
    done = subprocess.run([str(PROGRAM)] + [str(a) for a in arguments], text=True, stdin=stdin or subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s * SLOW)
    if expect is not None:
        assert done.returncode == expect, f"gatehouse {arguments}: {done.returncode}, want {expect}: {done.stdout}{done.stderr}"
    return done.returncode, done.stdout, done.stderr


class Sandbox:
    """gatehouse-sandbox, the payment provider to test with, aimed at a server."""

    def __init__(self, server):
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.server = server
        self.process = None
        self.start()

    def start(self):
        self.process = Process([SANDBOX, "--listen", f"127.0.0.1:{self.port}", "--db", self.server.dir / "sandbox.sqlite",
                                "--key-file", self.server.data / "provider-key",
                                "--webhook-url", self.server.origin + "/api/v1/provider/webhook",
                                "--webhook-secret-file", self.server.data / "webhook-secret"],
                               self.server.dir / "sandbox.log")

    def call(self, method, path, form=None):
        body = urllib.parse.urlencode(form or {}) if method == "POST" else None
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {"Authorization": "Bearer " + self.server.secret("provider-key"),
                                                "Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, raw

    def fault(self, kind, times=1, delay_ms=0):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("POST", "/sandbox/faults", json.dumps({"kind": kind, "times": times, "delay_ms": delay_ms}),
                           {"Authorization": "Bearer " + self.server.secret("provider-key"), "Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        assert answer.status < 300, f"fault {kind}: {answer.status} {raw!r}"

    def pay(self, checkout_url, card="4242424242424242"):
        """Fill in the hosted page's own form, as a browser without scripts does. Returns (status, location, page)."""
        parts = urllib.parse.urlsplit(checkout_url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request("GET", parts.path)
        page = connection.getresponse()
        html = page.read().decode()
        assert page.status == 200, f"the payment page: {page.status} {html[:300]}"
        form = re.search(r"<form[^>]*>.*?</form>", html, re.DOTALL).group()
        action = re.search(r'action="([^"]*)"', form)
        fields = {}
        for field in re.findall(r"<input[^>]*>", form):
            name = re.search(r'name="([^"]*)"', field)
            value = re.search(r'value="([^"]*)"', field)
            if name:
                fields[name.group(1)] = value.group(1) if value else ""
        for name in list(fields):
            low = name.lower()
            if "number" in low or low == "card":
                fields[name] = card
            elif "cvc" in low:
                fields[name] = "123"
            elif "month" in low:
                fields[name] = "12"
            elif "year" in low:
                fields[name] = "2034"
            elif "exp" in low:
                fields[name] = "12 / 34"
            elif "name" in low:
                fields[name] = "A Fan"
        target = urllib.parse.urljoin(parts.path, action.group(1) if action and action.group(1) else parts.path)
        connection.request("POST", target, urllib.parse.urlencode(fields),
                           {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin})
        answer = connection.getresponse()
        html = answer.read().decode()
        connection.close()
        return answer.status, answer.getheader("Location"), html

    def close(self):
        if self.process:
            self.process.end()
            self.process = None


# ---- the API -----------------------------------------------------------------------------------------------------------

class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The word of a problem+json answer."""
        try:
            return self.json.get("type", "").rsplit("/", 1)[-1]
        except ValueError:
            return ""


class Api:
    def __init__(self, server, token=None):
        self.server, self.token, self.connection = server, token, None

    def call(self, method, path, body=None, headers=None, expect=None, timeout_s=60, raw=None):
        head = {"Gatehouse-Token": "yes"}
        if self.token:
            head["Authorization"] = "Bearer " + self.token
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            head["Content-Type"] = "application/json"
        elif method in ("POST", "PUT", "PATCH"):
            raw = b""
        head.update(headers or {})
        head = {name: value for name, value in head.items() if value is not None}
        reply = self._send(method, path, raw, head, timeout_s * SLOW)
        if expect is not None:
            wanted = expect if isinstance(expect, tuple) else (expect,)
            assert reply.status in wanted, f"{method} {path}: {reply.status}, want {expect}: {reply.body[:600]!r}"
        return reply

    def _send(self, method, path, raw, head, timeout_s):
        used = self.connection is not None
        if not used:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=timeout_s)
        try:
            self.connection.request(method, path, raw, head)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # The server closes what was idle for long, also when its clock was moved: writes carry ids, so asking again is safe.
            if used and isinstance(error, (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected)):
                return self._send(method, path, raw, head, timeout_s)
            raise
        if answer.getheader("Connection", "").lower() == "close":
            self.connection.close()
            self.connection = None
        return Reply(answer.status, answer.headers, body)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", path, **more)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Person:
    """An account with both factors, signed in."""

    def __init__(self, server, mail, name, owner_token=None):
        self.server, self.mail, self.name, self.id = server, mail, name, new_id("acc")
        self.api = Api(server)
        body = {"id": self.id, "mail": mail, "name": name, "password": PASSWORD}
        if owner_token:
            me = self.api.post("/api/v1/setup/owner", {"token": owner_token, **body}, expect=201).json
        else:
            me = self.api.post("/api/v1/accounts", body, expect=201).json
        equal(me["level"], 1, "level after the password")
        self.api.token = me["token"]
        self.enrol()

    def enrol(self):
        self.secret = self.api.post("/api/v1/account/totp", expect=200).json["secret"]
        self.step = self.now_step()
        me = self.api.post("/api/v1/account/totp/confirm", {"code": totp(self.secret, at=self.step * 30)}, expect=200).json
        equal(me["level"], 2, "level after the second factor")
        self.api.token = me["token"]

    def now_step(self):
        return int((time.time() + getattr(self.server, "ahead_s", 0)) // 30)

    def sign_in(self):
        """A new session; each code works once, so the next one is used (within the drift that is allowed)."""
        self.step = max(self.step + 1, self.now_step())
        until("a code that is not too far ahead", lambda: self.step <= self.now_step() + 1, 40, 0.2)
        api = Api(self.server)
        api.token = api.post("/api/v1/sessions", {"mail": self.mail, "password": PASSWORD}, expect=200).json["token"]
        api.token = api.post("/api/v1/sessions/totp", {"code": totp(self.secret, at=self.step * 30)}, expect=200).json["token"]
        return api

    # buying
    def hold(self, event, wish, id=None, expect=201):
        return self.api.post(f"/api/v1/events/{event}/holds", {"id": id or new_id("hld"), **wish}, expect=expect).json

    def order(self, hold, id=None, expect=201):
        return self.api.post("/api/v1/orders", {"id": id or new_id("ord"), "hold": hold["id"]}, expect=expect).json

    def see(self, order):
        return self.api.get(f"/api/v1/orders/{order['id']}", expect=200).json

    def wait(self, order, look, words, timeout_s=20):
        return until(words, lambda: (lambda o: o if look(o) else None)(self.see(order)), timeout_s)

    def checkout(self, order):
        return self.wait(order, lambda o: o["checkout_url"], "the provider's page")["checkout_url"]


class World:
    """An owner, an organiser with a venue and an event on sale."""

    def __init__(self, server, slug="first"):
        self.server, self.slug = server, slug
        self.owner = Person(server, f"owner@{slug}.example", "The Owner", server.owner_link.split("#", 1)[1])
        self.organiser = self.make_organiser(slug)
        self.venue = self.make_venue(self.organiser)

    def make_organiser(self, slug):
        id = new_id("org")
        self.owner.api.post("/api/v1/organisers", {"id": id, "name": "Organiser " + slug, "slug": slug}, expect=201)
        return id

    def make_venue(self, organiser):
        id = new_id("ven")
        self.owner.api.post(f"/api/v1/organisers/{organiser}/venues",
                            {"id": id, "name": "Hall", "address": "1 Loop Road", "time_zone": "Europe/Berlin"}, expect=201)
        return id

    def make_plan(self, how, organiser=None, venue=None):
        id = new_id("pln")
        self.owner.api.post(f"/api/v1/organisers/{organiser or self.organiser}/plans",
                            {"id": id, "venue": venue or self.venue, "name": "Plan", **how}, expect=201)
        return id

    def event_body(self, plan, **more):
        body = {"id": new_id("evt"), "venue": self.venue, "plan": plan, "name": "An evening", "description": "Words", "currency": "EUR",
                "starts_at": time_text(3600), "ends_at": time_text(3 * 3600), "doors_at": time_text(-600),
                "sale_from": time_text(-3600), "sale_until": time_text(2 * 3600), "per_order_max": 10, "entries_max": 1,
                "categories": [{"category": 0, "name": "Seat", "color": "#3366cc", "price_minor": 4000, "fee_minor": 250}]}
        body.update(more)
        return body

    def make_event(self, plan, organiser=None, on_sale=True, **more):
        body = self.event_body(plan, **more)
        self.owner.api.post(f"/api/v1/organisers/{organiser or self.organiser}/events", body, expect=201)
        if on_sale:
            self.owner.api.post(f"/api/v1/events/{body['id']}/status", {"status": "on_sale"}, expect=200)
        return body["id"]

    def standing(self, slots, **more):
        """An event with one area."""
        plan = self.make_plan({"areas": [{"name": "Floor", "slots": slots, "category": 0, "color": "#3366cc"}]})
        return self.make_event(plan, **more)

    def seated(self, rows, seats, **more):
        """An event with rows of seats: place number = row * seats + seat."""
        return self.make_event(self.make_plan({"source": pretix_plan(rows, seats)}), **more)

    def fan(self, name):
        return Person(self.server, f"{name}@{self.slug}.example", name.title() + " Fan")


def pretix_plan(rows, seats):
    return {"name": "Small hall", "categories": [{"name": "Seat", "color": "#3366cc"}], "size": {"width": 1000, "height": 1000},
            "zones": [{"name": "Stalls", "zone_id": "stalls", "uuid": "z1", "position": {"x": 0, "y": 0}, "areas": [],
                       "rows": [{"row_number": str(r + 1), "row_number_position": "both", "uuid": f"r{r}",
                                 "position": {"x": 10, "y": 20 * r + 20},
                                 "seats": [{"seat_guid": f"s-{r}-{s}", "seat_number": str(s + 1), "uuid": f"u-{r}-{s}",
                                            "position": {"x": 20 * s, "y": 0}, "category": "Seat"} for s in range(seats)]}
                                for r in range(rows)]}]}


# ---- scanners ----------------------------------------------------------------------------------------------------------

class Scanner:
    """A device with a key of its own (made and used by openssl, as a second opinion on our signatures)."""

    def __init__(self, server, enrolment_token):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="scanner-", dir=server.dir))
        self.key = self.dir / "key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(self.key)], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(["openssl", "pkey", "-in", str(self.key), "-pubout", "-outform", "DER"], check=True,
                                stdout=subprocess.PIPE).stdout[-32:]
        self.id, self.sequence, self.api = new_id("dev"), 0, Api(server)
        self.enrolled = self.api.post("/api/v1/devices/enrol", {"id": self.id, "token": enrolment_token,
                                                                "public_key": base64.b64encode(public).decode()}, expect=201).json

    def sign(self, text):
        path = self.dir / "message"
        path.write_text(text)
        raw = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", str(self.key), "-rawin", "-in", str(path)], check=True,
                             stdout=subprocess.PIPE).stdout
        return base64.b64encode(raw).decode()

    def body(self, code, sequence=None, **more):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        at = time_text(0)
        signature = self.sign(f"gatehouse/scan/1\n{self.id}\n{sequence}\n{at}\n{code}")
        return {"device": self.id, "sequence": sequence, "scanned_at": at, "code": code, "verdict": "admitted",
                "signature": signature, **more}

    def scan(self, code, expect=200, **more):
        return self.api.post("/api/v1/scans", self.body(code, **more), expect=expect).json


def enrolment(world, event, gate="Gate A", name="Scanner"):
    return world.owner.api.post(f"/api/v1/events/{event}/devices/enrolments", {"name": name, "gate": gate}, expect=201).json


class Stream:
    """Server-sent events, read by a thread: (monotonic time, event, data)."""

    def __init__(self, api, path):
        self.events, self.error = [], None
        self.connection = http.client.HTTPConnection("127.0.0.1", api.server.port, timeout=600)
        self.connection.request("GET", path, headers={"Authorization": "Bearer " + (api.token or ""), "Accept": "text/event-stream"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, f"{path}: {self.answer.status} {self.answer.read(300)!r}"
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        event, data = "message", []
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].strip())
                elif not line and data:
                    self.events.append((time.monotonic(), event, json.loads("\n".join(data))))
                    event, data = "message", []
        except (OSError, ValueError, http.client.HTTPException, AttributeError) as error:
            self.error = error

    def wait(self, words, look, timeout_s=5.0):
        """(when it came, its data) of the first event that look(event, data) likes."""
        def find():
            return next(((at, data) for at, event, data in list(self.events) if look(event, data)), None)
        return until(words, find, timeout_s, 0.01)

    def close(self):
        try:
            self.connection.sock and self.connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


# ---- a provider that does what it is told --------------------------------------------------------------------------------

class Provider:
    """Stripe's words, played by the test: it can be slow, silent, refuse, and hold its webhooks back."""

    def __init__(self):
        self.sessions, self.by_key, self.refunds, self.calls = {}, {}, {}, []
        self.lock = threading.Lock()
        self.create_delay_s = 0.0      # before a session is answered
        self.create_status = 200
        self.silent = threading.Event()  # set: nobody is answered until it is cleared
        player = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(player.asked("GET", self.path, "", None))

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                self.answer(player.asked("POST", self.path, raw, self.headers.get("Idempotency-Key")))

            def answer(self, given):
                status, body = given
                raw = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:
                    self.close_connection = True

        class Quiet(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 256

            def handle_error(self, *_):
                pass  # a killed server breaks its connections

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def asked(self, method, path, raw, key):
        with self.lock:
            self.calls.append((method, path))
        while self.silent.is_set():
            time.sleep(0.02)
        if method == "POST" and path == "/v1/checkout/sessions":
            return self.create(urllib.parse.parse_qs(raw), key)
        match = re.fullmatch(r"/v1/checkout/sessions/(\w+)(/expire)?", path)
        with self.lock:
            if match and match.group(1) in self.sessions:
                session = self.sessions[match.group(1)]
                if match.group(2):
                    if session["status"] != "open":
                        return 400, {"error": {"type": "invalid_request_error", "message": "not open"}}
                    session.update(status="expired", url=None)
                return 200, session
            if method == "POST" and path == "/v1/refunds":
                return self.refund(urllib.parse.parse_qs(raw), key)
        return 404, {"error": {"type": "invalid_request_error", "message": "no such thing"}}

    def create(self, form, key):
        with self.lock:
            if self.create_status != 200:
                return self.create_status, {"error": {"type": "api_error", "message": "not now"}}
            first = self.by_key.get(key)
            if first and first[0] != form:
                return 400, {"error": {"type": "idempotency_error", "message": "other parameters than the first time"}}
            if not first:
                id = "cs_test_" + secrets.token_hex(12)
                self.sessions[id] = {
                    "id": id, "object": "checkout.session", "amount_total": int(form["line_items[0][price_data][unit_amount]"][0]),
                    "currency": form["line_items[0][price_data][currency]"][0], "client_reference_id": form["client_reference_id"][0],
                    "payment_intent": None, "status": "open", "payment_status": "unpaid", "url": f"{self.origin}/pay/{id}",
                    "metadata": {"payment": form["metadata[payment]"][0]}, "livemode": False}
                first = self.by_key[key] = (form, dict(self.sessions[id]))
            delay = self.create_delay_s
        time.sleep(delay)
        return 200, first[1]  # as it was then, whatever has become of it

    def refund(self, form, key):
        id = self.refunds.get(key, {}).get("id") or "re_" + secrets.token_hex(12)
        self.refunds[key] = {"id": id, "object": "refund", "payment_intent": form["payment_intent"][0], "amount": int(form["amount"][0]),
                             "currency": "eur", "status": "succeeded", "metadata": {"refund": form["metadata[refund]"][0]}}
        return 200, self.refunds[key]

    def charge(self, checkout_url):
        """The fan pays; nobody is told yet. Returns the session."""
        with self.lock:
            session = self.sessions[checkout_url.rsplit("/", 1)[1]]
            assert session["status"] == "open", f"the session is {session['status']}"
            session.update(status="complete", payment_status="paid", payment_intent="pi_" + secrets.token_hex(12), url=None)
            return dict(session)

    def tell(self, server, session, kind="checkout.session.completed", secret=None, ref=None, at=None):
        """Send the signed webhook; returns the reply."""
        event = {"id": ref or "evt_" + secrets.token_hex(12), "object": "event", "type": kind, "data": {"object": session}}
        raw, t = json.dumps(event).encode(), int(time.time() if at is None else at)
        mac = hmac.new((secret or server.secret("webhook-secret")).encode(), f"{t}.".encode() + raw, hashlib.sha256).hexdigest()
        return Api(server).call("POST", "/api/v1/provider/webhook", raw=raw, headers={"Stripe-Signature": f"t={t},v1={mac}"})

    def close(self):
        self.silent.clear()
        self.http.shutdown()
        self.http.server_close()


def with_player(settings=None):
    """A server whose provider is played by the test."""
    provider = Provider()
    server = Server({"provider.origin": provider.origin, **(settings or {})}, start=False)
    server.configure({"provider.key_file": server.data / "provider-key",
                      "provider.webhook_secret_file": server.data / "webhook-secret"})
    server.start()
    return server, provider


def with_sandbox(settings=None):
    """A server with the real gatehouse-sandbox as its provider."""
    server = Server(settings, start=False)
    sandbox = Sandbox(server)
    server.configure({"provider.origin": sandbox.origin, "provider.key_file": server.data / "provider-key",
                      "provider.webhook_secret_file": server.data / "webhook-secret"})
    server.start()
    return server, sandbox


def all_at_once(jobs):
    """Run the jobs on threads that start together; their results in order (an exception is a result)."""
    results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def work(index):
        barrier.wait()
        try:
            results[index] = jobs[index]()
        except Exception as error:  # noqa: BLE001: handed back
            results[index] = error
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
