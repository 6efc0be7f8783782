#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What must not be found where it does not belong: names and addresses in database, WAL and logs; card numbers, passwords and
tokens anywhere; and no process of ours leaves a core dump."""
import pathlib
import re

import gatehouse as g

CARDS = {"4242424242424242": "approved", "4000000000000002": "declined"}
NAME, MAIL, STAFF_MAIL = "Zerubbabel Quixotewright", "zq.canary@needle-in-haystack.example", "boss.canary@needle-in-haystack.example"
tap = g.Tap()
at = {}


@tap.test("a sale to a person whose name nobody else has", vital=True)
def start():
    at["server"], at["sandbox"] = g.with_sandbox()
    server, sandbox = at["server"], at["sandbox"]
    world = at["world"] = g.World(server)
    event = world.standing(20)
    fan = at["fan"] = g.Person(server, MAIL, NAME)
    staff = at["staff"] = g.Person(server, STAFF_MAIL, NAME)
    world.owner.api.post(f"/api/v1/organisers/{world.organiser}/grants", {
        "id": g.new_id("grt"), "mail": STAFF_MAIL, "role": "box_office", "event": None, "expires_at": None}, expect=201)
    order = fan.order(fan.hold(event, {"area": {"area": 0, "count": 2}}))
    url = fan.checkout(order)
    for card in reversed(CARDS):
        sandbox.pay(url, card)
    order = fan.wait(order, lambda o: o["status"] == "paid", "paid")
    at["codes"] = [fan.api.get(f"/api/v1/tickets/{t}/code", expect=200).json["code"] for t in order["tickets"]]
    seen = staff.api.get(f"/api/v1/organisers/{world.organiser}/orders?event={event}", expect=200).json["data"]
    g.equal(seen[0]["buyer"]["name"], NAME)
    scanner = g.Scanner(server, g.enrolment(world, event)["token"])
    scanner.scan(at["codes"][0])
    scanner.scan(at["codes"][0])
    g.Api(server).post("/api/v1/sessions", {"mail": MAIL, "password": "wrong canary password"}, expect=401)
    at["event"] = event


def search(folders, needles):
    """Which needle stands in which file, as text in one of the ways text is written."""
    found = []
    for folder in folders:
        for path in [folder] if folder.is_file() else folder.rglob("*"):
            if not path.is_file():
                continue
            data = path.read_bytes().lower()
            for needle in needles:
                low = needle.lower()
                for form in (low.encode(), low.encode("utf-16-le"), low.encode().hex().encode()):
                    if form in data:
                        found.append((str(path), needle))
    return found


def personal():
    return [NAME, NAME.split()[1], MAIL, MAIL.split("@")[0], STAFF_MAIL]


@tap.test("while serving, neither names nor addresses stand in database, WAL, ledger, journal or logs")
def running():
    server = at["server"]
    assert (server.data / "db/gatehouse.sqlite-wal").stat().st_size > 0, "there is a WAL to look into"
    g.equal(search([server.data / "db", server.data / "log", server.data / "log-state", server.data / "signer", server.data / "keys",
                    server.dir / "serve.log"], personal()), [])


@tap.test("the search itself would find them: mails in the folder hold the address")
def control():
    g.until("the mail", lambda: search([at["server"].data / "mail"], [MAIL]), 15)


@tap.test("no card number reached any file of ours, whole or in groups of four")
def cards():
    needles = list(CARDS) + [" ".join(re.findall("....", card)) for card in CARDS] + ["-".join(re.findall("....", card)) for card in CARDS]
    g.equal(search([at["server"].dir], needles), [])


@tap.test("passwords, session tokens, second-factor secrets and ticket codes stand in no file")
def secrets():
    people = (at["fan"], at["staff"], at["world"].owner)
    needles = [g.PASSWORD, "wrong canary password"] + [p.api.token for p in people] + [p.secret for p in people] + at["codes"]
    needles += [at["server"].owner_link.split("#", 1)[1]]
    server = at["server"]
    g.equal(search([server.data, server.dir / "serve.log"], needles), [])


@tap.test("the keys of the installation are not in database or logs")
def keys():
    server = at["server"]
    needles = [server.secret("provider-key"), server.secret("webhook-secret")]
    raw = [(server.data / "keys" / name).read_bytes().strip() for name in ("site-master", "signer-master")]
    found = search([server.data / "db", server.dir / "serve.log"], needles)
    for path in [server.dir / "serve.log"] + [p for p in (server.data / "db").rglob("*") if p.is_file()]:
        data = path.read_bytes()
        found += [(str(path), "a master key") for key in raw if len(key) >= 16 and key in data]
    g.equal(found, [])


@tap.test("secrets are readable by their owner only")
def modes():
    server, wide = at["server"], []
    for path in [server.data / "provider-key", server.data / "webhook-secret", *(server.data / "keys").rglob("*"),
                 *(server.data / "signer").rglob("*"), *(server.data / "db").rglob("*")]:
        if path.stat().st_mode & 0o077:
            wide.append((str(path), oct(path.stat().st_mode)))
    g.equal(server.data.stat().st_mode & 0o077, 0, "the directory")
    g.equal([w for w in wide if "/db/" not in w[0]], [])


def family(pid):
    pids = [pid]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
                pids.append(int(entry.name))
    return pids


@tap.test("no process of ours leaves a core dump or can be looked into by its user's other programs")
def dumps():
    pids = family(at["server"].process.process.pid)
    assert len(pids) >= 3, f"server, signer and courier: {pids}"
    for pid in pids:
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        core = re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits).groups()
        # Not dumpable processes belong to root in /proc; the limit is the second wall.
        name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2]
        assert core == ("0", "0"), f"{name}: core limit {core}"


@tap.test("secrets are neither in the arguments nor in the environment of the processes")
def arguments():
    server = at["server"]
    needles = [server.secret("provider-key").encode(), server.secret("webhook-secret").encode()]
    for pid in family(server.process.process.pid):
        data = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        try:
            data += pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            pass
        for needle in needles:
            assert needle not in data


@tap.test("in what ticket codes and the public log show, nothing personal is readable")
def public():
    import base64
    server = at["server"]
    for path in (server.data / "log").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert NAME.encode() not in data and base64.b64encode(NAME.encode()) not in data
    for code in at["codes"]:
        assert NAME.split()[1].upper() not in code


@tap.test("after the end, the same files still hold none of it")
def stopped():
    g.equal(at["server"].stop(), 0)
    at["sandbox"].close()
    server = at["server"]
    g.equal(search([server.data / "db", server.data / "log", server.data / "signer", server.dir / "serve.log"], personal()), [])
    g.equal(search([server.dir], list(CARDS)), [])


@tap.cleanup
def clean():
    for name in ("sandbox", "server"):
        if name in at:
            at[name].close()


tap.run()
