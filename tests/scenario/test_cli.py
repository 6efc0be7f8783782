#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command line: help everywhere, exit statuses, settings checked with line numbers, nothing overwritten."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile

import gatehouse as g

tap = g.Tap()
at = {"dir": pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-cli-"))}
COMMANDS = (["init"], ["serve"], ["demo"], ["admin"], ["ledger"], ["version"])


@tap.test("--help says how to use each command, on standard output, with status 0")
def help_texts():
    for command in ([], *COMMANDS):
        status, out, err = g.command(*command, "--help")
        g.equal((status, err), (0, ""), str(command))
        assert out.startswith("Usage: gatehouse"), out[:80]
        for name in command:
            assert name in out, out


@tap.test("no command, an unknown one, an unknown option and a missing one: status 2, said on standard error")
def misuse():
    for arguments in ([], ["nothing"], ["serve"], ["serve", "--nothing"], ["init"], ["init", "--dir"], ["ledger", "--dir", "/tmp"],
                      ["ledger", "burn", "--dir", "/tmp"], ["admin", "nothing", "--dir", "/tmp"], ["version", "--nothing"]):
        status, out, err = g.command(*arguments)
        g.equal(status, 2, f"{arguments}: {out}{err}")
        assert err, arguments


@tap.test("version, in words and as JSON")
def version():
    _, out, _ = g.command("version", expect=0)
    assert re.fullmatch(r"gatehouse \d+\.\d+\.\d+\S*\n", out), out
    _, out, _ = g.command("version", "--json", expect=0)
    assert json.loads(out)["version"]


@tap.test("the sandbox has its help and version")
def sandbox():
    for option in ("--help", "--version"):
        done = subprocess.run([str(g.SANDBOX), option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
        g.equal((done.returncode, done.stderr), (0, ""), option)
        assert done.stdout
    done = subprocess.run([str(g.SANDBOX), "--nothing"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    g.equal(done.returncode, 2)


@tap.test("init makes a directory that only its owner can read, with its secrets", vital=True)
def init():
    at["data"] = at["dir"] / "deep" / "data"
    g.command("init", "--dir", at["data"], "--origin", "https://tickets.example.org", "--listen", "127.0.0.1:0", expect=0)
    g.equal(at["data"].stat().st_mode & 0o777, 0o700)
    for name in ("gatehouse.conf", "keys/site-master", "provider-key", "webhook-secret"):
        path = at["data"] / name
        assert path.is_file(), name
        g.equal(path.stat().st_mode & 0o077, 0, name)
    assert "tickets.example.org" in (at["data"] / "gatehouse.conf").read_text()


@tap.test("init again changes nothing and says so")
def init_again():
    before = {p: p.read_bytes() for p in at["data"].rglob("*") if p.is_file()}
    status, out, err = g.command("init", "--dir", at["data"])
    assert status in (1, 2) and err, (status, out, err)
    g.equal({p: p.read_bytes() for p in at["data"].rglob("*") if p.is_file()}, before)


@tap.test("two installations share no secret")
def different():
    other = at["dir"] / "other"
    g.command("init", "--dir", other, expect=0)
    for name in ("keys/site-master", "provider-key", "webhook-secret"):
        assert (other / name).read_bytes() != (at["data"] / name).read_bytes(), name


def serve_fails(words, text):
    conf = at["data"] / "gatehouse.conf"
    kept = conf.read_text()
    try:
        conf.write_text(text)
        status, out, err = g.command("serve", "--dir", at["data"])
    finally:
        conf.write_text(kept)
    g.equal(status, 2, f"{words}: {out}{err}")
    return err


@tap.test("mistakes in the settings are named with their line")
def settings():
    conf = (at["data"] / "gatehouse.conf").read_text().splitlines()
    for line in ("nonsense = 1", "listen = 127.0.0.1:99999", "listen = 0.0.0.0", "loops = many", "origin = ftp://x", "just words"):
        section = conf.index("[server]")
        text = "\n".join(conf[:section + 1] + [line] + [c for c in conf[section + 1:] if c.split("=")[0].strip() != line.split("=")[0].strip()])
        err = serve_fails(line, text + "\n")
        assert re.search(rf"(line |:){section + 2}\b", err), f"{line}: {err}"
    err = serve_fails("section", "\n".join(conf + ["[nothing]", "key = 1"]) + "\n")
    assert re.search(rf"(line |:){len(conf) + 2}\b", err), err
    err = serve_fails("rates", "\n".join(conf).replace("rates = on", "rates = perhaps") + "\n")
    assert "rates" in err, err


@tap.test("plain HTTP on an address that is not loopback is refused")
def plain():
    text = (at["data"] / "gatehouse.conf").read_text().replace("listen = 127.0.0.1:0", "listen = 0.0.0.0:0", 1)
    err = serve_fails("plain", text)
    assert "loopback" in err, err


@tap.test("a directory that is none, or not ours, is said to be so")
def no_directory():
    for arguments in (["serve", "--dir", at["dir"] / "missing"], ["ledger", "audit", "--dir", at["dir"] / "missing"],
                      ["ledger", "verify", "--dir", at["dir"]], ["admin", "owner-link", "--dir", at["dir"] / "missing"]):
        status, out, err = g.command(*arguments)
        g.equal(status, 2, f"{arguments}: {out}{err}")
        assert err


@tap.test("serve says in one line that it is ready, ends on SIGTERM and SIGINT with 0, and keeps its data")
def serve():
    import signal
    for how in (signal.SIGTERM, signal.SIGINT):
        process = g.Process([g.PROGRAM, "serve", "--dir", at["data"]], at["dir"] / "serve.log")
        g.equal(process.ready["ready"], True)
        assert "#" in process.ready["owner_link"]
        g.equal(process.end(how), 0)
    g.equal((at["data"] / "keys/signer-master").stat().st_mode & 0o777, 0o600, "the signer's own, made at the first start")


@tap.test("two servers on one directory: the second refuses")
def twice():
    process = g.Process([g.PROGRAM, "serve", "--dir", at["data"]], at["dir"] / "serve.log")
    try:
        status, out, err = g.command("serve", "--dir", at["data"])
        g.equal(status, 2, out + err)
        g.equal(process.process.poll(), None, "the first goes on")
    finally:
        g.equal(process.end(), 0)


@tap.test("a port that is taken is said to be so")
def port_taken():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        text = (at["data"] / "gatehouse.conf").read_text().replace("listen = 127.0.0.1:0", f"listen = 127.0.0.1:{port}", 1)
        err = serve_fails("port", text)
        assert str(port) in err or "in use" in err, err


def installed(*programs):
    """The program as README.md installs it, with these of the two that it starts."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-installed-", dir=at["dir"]))
    (root / "bin").mkdir()
    (root / "libexec/gatehouse").mkdir(parents=True)
    shutil.copy(g.PROGRAM, root / "bin")
    for name in programs:
        shutil.copy(g.PROGRAM.parent / name, root / "libexec/gatehouse")
    return root / "bin/gatehouse"


@tap.test("installed, it finds the two programs that it starts in libexec; one that is missing is named with both places")
def libexec():
    process = g.Process([installed("gatehouse-signer", "gatehouse-courier"), "serve", "--dir", at["data"]], at["dir"] / "serve.log")
    g.equal((process.ready["ready"], process.end()), (True, 0))
    for there, missing in (("gatehouse-signer", "gatehouse-courier"), ("gatehouse-courier", "gatehouse-signer")):
        program = installed(there)
        done = subprocess.run([str(program), "serve", "--dir", str(at["data"])], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60 * g.SLOW)
        g.equal((done.returncode, done.stdout), (2, ""), done.stderr)
        assert f"{missing} is not in {program.parent}/, nor is it at ../libexec/gatehouse/{missing}" in done.stderr, done.stderr


@tap.test("signer and courier have help, and refuse to be started by hand or by another version")
def children():
    for name in ("gatehouse-signer", "gatehouse-courier"):
        for arguments, status, words in ((["--help"], 0, f"Usage: {name}"), ([], 2, "not by hand"),
                                         (["--of", "0.0.1"], 2, "not of 0.0.1")):
            done = subprocess.run([str(g.PROGRAM.parent / name), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60 * g.SLOW)
            g.equal(done.returncode, status, done.stdout)
            assert words in done.stdout, done.stdout


@tap.test("who comes while the server starts is answered when it is there, and not turned away")
def early():
    server = g.Server(start=False)
    process = subprocess.Popen([str(g.PROGRAM), "serve", "--dir", str(server.data)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    try:
        def dial():
            try:
                return socket.create_connection(("127.0.0.1", server.port), timeout=60 * g.SLOW)
            except ConnectionRefusedError:
                return None
        at_once = []
        g.until("it listens", lambda: at_once.append(dial()) or at_once[-1], 60)
        with at_once[-1] as s:
            s.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200 "), answer
    finally:
        process.terminate()
        g.equal(process.wait(60 * g.SLOW), 0)
        process.stdout.close()
        server.close()


@tap.test("a plan that cannot be read stops the start with a sentence")
def bad_plan():
    server = g.Server()
    g.World(server).standing(5)
    server.stop()
    with contextlib.closing(sqlite3.connect(server.database())) as db:
        db.execute("UPDATE plan SET packed = x'00'")
        db.commit()
    status, out, err = g.command("serve", "--dir", server.data)
    g.equal((status, out), (2, ""), err)
    assert "gatehouse: serve: The seats of event number 1 cannot be read: " in err, err
    server.close()


@tap.test("owner-link makes a new link while no server runs, and the old one is dead")
def owner_link():
    status, out, err = g.command("admin", "owner-link", "--dir", at["data"])
    g.equal(status, 0, out + err)
    assert "/staff/setup#" in out, out


@tap.test("verify and audit: 0 on a sound installation, 1 when a byte of the log changed, 2 without a log")
def ledger():
    server = at["server"] = g.Server()
    g.World(server)
    g.until("entries are published", lambda: server.ledger("verify")[1]["entries"] > 3)
    server.sound()
    server.stop()
    for what in ("verify", "audit"):
        g.command("ledger", what, "--dir", server.data, expect=0)
    tile = max((p for p in (server.data / "log/tile").rglob("*") if p.is_file() and "entries" not in p.parts), key=lambda p: p.stat().st_mtime)
    data = bytearray(tile.read_bytes())
    data[5] ^= 1
    tile.chmod(0o600)
    tile.write_bytes(bytes(data))
    status, answer = server.ledger("verify")
    g.equal((status, answer["ok"]), (1, False))
    assert answer["findings"][0]["subject"] in str(tile), answer
    data[5] ^= 1
    tile.write_bytes(bytes(data))
    server.sound()
    copy = at["dir"] / "copy"
    shutil.copytree(server.data / "log", copy)
    g.command("ledger", "verify", "--dir", copy, "--vkey", server.data / "log-vkey", expect=0)
    shutil.rmtree(copy)
    g.command("ledger", "verify", "--dir", copy, "--vkey", server.data / "log-vkey", expect=2)


@tap.test("the demonstration comes up with three events, keeps them, and ends with all its processes")
def demo():
    folder = at["dir"] / "demo"
    first = None
    for start in (1, 2):
        process = g.Process([g.PROGRAM, "demo", "--dir", folder, "--port", "0", "--tls-port", "0", "--sandbox-port", "0", "--json"],
                            at["dir"] / "demo.log")
        try:
            ready = process.ready
            assert ready["demo"] and ready["sandbox"].startswith("http"), ready
            port = int(re.search(r":(\d+)", str(ready["http"]))[1]) if not isinstance(ready["http"], int) else ready["http"]
            server = type("Demo", (), {"port": port})()
            events = g.Api(server).get("/api/v1/events", expect=200).json["data"]
            ids = sorted(e["id"] for e in events)
            g.equal(len(ids), 3, f"start {start}")
            g.equal(sorted(e["capacity"] for e in events)[-1] >= 80000, True, "the stadium")
            assert first is None or first == ids, "the second start keeps the data"
            first = ids
            g.equal(g.Api(server).get("/api/v1/status", expect=200).json["demo"], True)
        finally:
            pid = process.process.pid
            g.equal(process.end(timeout_s=60), 0)
        assert not [p for p in pathlib.Path("/proc").glob("[0-9]*") if parent(p) == pid], "no process is left"


def parent(path):
    try:
        return int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, ValueError):
        return 0


@tap.cleanup
def clean():
    if "server" in at:
        at["server"].close()
    shutil.rmtree(at["dir"], ignore_errors=True)


os.environ.setdefault("HOME", str(at["dir"]))
tap.run()
