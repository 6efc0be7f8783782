#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gatehouse-bench measures and checks: a small sell-out, one with kill -9, doors, a growing file, the floors, and its refusals."""
import json
import shutil
import subprocess

import gatehouse as g

BENCH = g.BUILD / "bench/gatehouse-bench"
tap = g.Tap()


def run(*arguments, expect=0):
    done = subprocess.run([str(BENCH), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120 * g.SLOW)
    g.equal(done.returncode, expect, done.stdout + done.stderr[-2000:])
    return done


def bench(*arguments, expect=0):
    done = run(*arguments, expect=expect)
    return json.loads(done.stdout.splitlines()[-1]) if expect == 0 else done.stderr


def sold_out(figures):
    g.equal((figures["violations"], figures["double_sold"], figures["unsold"]), (0, 0, 0), str(figures))
    assert figures["audit_clean"] and figures["log_verifies"], figures
    assert figures["sales_per_s"] > 0 and figures["floor_sales_per_s"] > 0 and figures["ratio_to_floor"] > 0
    for step in ("hold", "order", "checkout_wait", "webhook"):
        assert figures[step]["count"] > 0 and figures[step]["p50_ms"] <= figures[step]["p99_ms"] <= figures[step]["p999_ms"], step


@tap.test("a small stadium is sold to the last seat, no promise broken, some choices collided")
def sellout():
    figures = bench("sellout", "--seats", "600", "--buyers", "16")
    sold_out(figures)
    assert figures["conflicts"] > 0


@tap.test("single seats, a slow provider, fewer connections than buyers")
def shapes():
    sold_out(bench("sellout", "--seats", "200", "--buyers", "12", "--per-order", "1", "--provider-ms", "5", "--connections", "4"))


@tap.test("the same with kill -9 on the way")
def killed():
    figures = bench("sellout", "--seats", "1200", "--buyers", "16", "--provider-ms", "20", "--kill")
    sold_out(figures)
    assert figures["kills"] > 0, figures


@tap.test("the doors: as fast as it goes, alone, at a rate, beside a sale, and scans that were stored")
def gate():
    figures = bench("gate", "--tickets", "150", "--scanners", "5", "--rate", "100", "--seconds", "1", "--offline", "400", "--sellout",
                    "--seats", "600", "--buyers", "8")
    g.equal((figures["violations"], figures["admitted_twice"], figures["answers_wrong"]), (0, 0, 0), str(figures))
    assert figures["audit_clean"] and figures["log_verifies"], figures
    assert figures["scans_per_s"] > 0 and figures["floor_verifies_per_s"] > 0 and figures["ratio_to_floor"] > 0
    g.equal((figures["saturated"]["admitted"], figures["alone"]["admitted"]), (150, 150), str(figures))
    assert figures["saturated"]["already_admitted"] > 0
    g.equal(figures["open"]["scans"], 100)
    assert 0 < figures["open_in_sale"]["scans"] <= 100 and figures["sale"]["sales_per_s_beside_scans"] > 0, figures
    offline = figures["offline"]
    g.equal((offline["admitted"], offline["forged"], offline["already_admitted"]), (150, 2, 248), str(offline))
    for way in ("saturated", "alone", "open", "offline"):
        assert figures[way]["scan"]["p50_ms"] <= figures[way]["scan"]["p99_ms"] <= figures[way]["scan"]["p999_ms"], way


@tap.test("a file that grows: the rows it is filled with lack entries and nothing else")
def grow():
    done = run("grow", "--tickets", "0,500", "--seats", "200", "--buyers", "4", "--scans", "20", "--scanners", "2", "--keep")
    figures = json.loads(done.stdout.splitlines()[-1])
    kept = [line.split(": ", 1)[1] for line in done.stderr.splitlines() if line.startswith("kept: ")][0]
    audit = subprocess.run([str(g.BUILD / "src/prog/gatehouse"), "ledger", "audit", "--dir", kept, "--json"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, text=True, timeout=60 * g.SLOW)
    shutil.rmtree(kept)
    empty, filled = figures["sizes"]
    g.equal(figures["violations"], 0, str(figures))
    assert empty["audit"] == "clean" and filled["audit"].startswith("not asked"), figures
    assert filled["tickets_filled"] >= 500 and filled["first_scan_s"] >= filled["start_s"] > 0 and filled["rss_start_kb"] > 0, filled
    g.equal(len(figures["sales_per_s_to_first"]), 2)
    g.equal({finding["kind"] for finding in json.loads(audit.stdout)["findings"]}, {"row_unknown"}, audit.stdout[:2000])


@tap.test("the floors are measured")
def baseline():
    figures = bench("baseline")
    for name in ("sqlite_sales_per_s", "fsyncs_per_s", "ed25519_verifies_per_s"):
        assert figures[name] > 0, figures


@tap.test("what it does not understand it refuses with status 2")
def refused():
    for arguments in (["nothing"], ["sellout", "--seats", "1"], ["sellout", "--per-order", "11"], ["sellout", "--nothing"], ["sellout", "--buyers"],
                      ["gate", "--scanners", "0"], ["gate", "--tickets", "240000"], ["grow", "--tickets", "5,3"], ["grow", "--tickets", "x"]):
        assert bench(*arguments, expect=2)
    bench("sellout", "--program", "/bin/false", expect=2)


tap.run()
