#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gatehouse-bench measures and checks: a small sell-out, one with kill -9, the floors, and its refusals."""
import json
import subprocess

import gatehouse as g

BENCH = g.BUILD / "bench/gatehouse-bench"
tap = g.Tap()


def bench(*arguments, expect=0):
    done = subprocess.run([str(BENCH), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120 * g.SLOW)
    g.equal(done.returncode, expect, done.stdout + done.stderr[-2000:])
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


@tap.test("the floors are measured")
def baseline():
    figures = bench("baseline")
    for name in ("sqlite_sales_per_s", "fsyncs_per_s", "ed25519_verifies_per_s"):
        assert figures[name] > 0, figures


@tap.test("what it does not understand it refuses with status 2")
def refused():
    for arguments in (["nothing"], ["sellout", "--seats", "1"], ["sellout", "--per-order", "11"], ["sellout", "--nothing"], ["sellout", "--buyers"]):
        assert bench(*arguments, expect=2)
    bench("sellout", "--program", "/bin/false", expect=2)


tap.run()
