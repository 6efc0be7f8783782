#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gatehouse-bench measures and checks: each of its measurements on a small scale, and its refusals."""
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


def sold_out(figures, steps=("hold", "order", "webhook")):
    g.equal((figures["violations"], figures["double_sold"], figures["unsold"]), (0, 0, 0), str(figures))
    assert figures["audit_clean"] and figures["log_verifies"], figures
    assert figures["sales_per_s"] > 0 and figures["floor_sales_per_s"] > 0 and figures["ratio_to_floor"] > 0
    for step in steps:
        assert figures[step]["count"] > 0 and figures[step]["p50_ms"] <= figures[step]["p99_ms"] <= figures[step]["p999_ms"], step


@tap.test("a small stadium is sold to the last seat, no promise broken, some choices collided")
def sellout():
    figures = bench("sellout", "--seats", "600", "--buyers", "16")
    sold_out(figures)
    assert figures["conflicts"] > 0


@tap.test("single seats, a slow provider, fewer connections than buyers")
def shapes():
    sold_out(bench("sellout", "--seats", "200", "--buyers", "12", "--per-order", "1", "--provider-ms", "5", "--connections", "4"))


@tap.test("the payment page waited for by a request of its own")
def apart():
    sold_out(bench("sellout", "--seats", "200", "--buyers", "12", "--apart"), ("hold", "order", "checkout_wait", "webhook"))


@tap.test("the same with kill -9 on the way")
def killed():
    figures = bench("sellout", "--seats", "1200", "--buyers", "16", "--provider-ms", "20", "--kill")
    sold_out(figures)
    assert figures["kills"] > 0, figures
    times(figures["down"])
    g.equal(figures["down"]["count"], figures["kills"], str(figures))


@tap.test("the same while the database is backed up")
def backed_up():
    figures = bench("sellout", "--seats", "600", "--buyers", "16", "--backup")
    sold_out(figures)
    assert figures["backup"]["copies"] > 0 and figures["backup"]["sound"] and figures["backup"]["bytes"] > 100000, figures["backup"]


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


def times(samples):
    assert samples["count"] > 0 and samples["p50_ms"] <= samples["p99_ms"] <= samples["p999_ms"] <= samples["max_ms"], samples


@tap.test("the map is read whole and by its tag while seats are held, and streams tell of every change")
def seat_map():
    figures = bench("map", "--seats", "400", "--readers", "3", "--sales-rate", "60", "--listeners", "12", "--seconds", "1")
    g.equal(figures["violations"], 0, str(figures))
    for phase in ("full", "tagged", "event", "unchanged"):
        assert figures[phase]["reads_per_s"] > 0, figures
        times(figures[phase]["read"])
    for phase in ("full", "event", "unchanged"):
        assert figures[phase]["floor_reads_per_s"] > 0 and figures[phase]["ratio_to_floor"] > 0, figures
    assert figures["unchanged"]["not_modified"] > 0 and figures["tagged"]["whole"] > 0 and figures["full"]["not_modified"] == 0, figures
    streams = figures["streams"]
    g.equal((streams["seats_differing"], streams["gaps"], streams["unheard_holds"], streams["dropped"]), (0, 0, 0, 0), str(streams))
    assert streams["events"] > 0 and streams["delivered"] == 12 * streams["events"] and streams["delivered_per_s"] > 0, streams
    times(streams["lag"])
    times(figures["hold_from_due"])
    g.equal(figures["holds"], figures["releases"])


@tap.test("a map that nothing changes, without listeners")
def quiet_map():
    figures = bench("map", "--seats", "200", "--readers", "2", "--sales-rate", "0", "--listeners", "0", "--seconds", "1")
    g.equal((figures["violations"], figures["holds"]), (0, 0), str(figures))
    assert "streams" not in figures and figures["tagged"]["not_modified"] > 0, figures


@tap.test("sign-ins alone, and what they take from a sale")
def login():
    figures = bench("login", "--accounts", "4", "--concurrency", "3", "--seconds", "1", "--sales", "--seats", "300", "--buyers", "8")
    g.equal(figures["violations"], 0, str(figures))
    idle, alone, beside = figures["idle"], figures["sale_alone"], figures["sale_beside_sign_ins"]
    assert idle["sign_ins_per_s"] > 0 and idle["floor_argon2id_per_s"] > 0 and idle["ratio_to_floor"] > 0, idle
    for samples in (idle["sign_in"], beside["sign_in"], alone["webhook"], beside["webhook"]):
        times(samples)
    g.equal(alone["webhook"]["count"], alone["sales"])
    g.equal(beside["webhook"]["count"], beside["sales"])
    assert alone["sales_per_s"] > 0 and beside["sales_per_s"] > 0 and figures["sales_lost_part"] < 1, figures


@tap.test("entries are appended and in the public log, through the API and inside")
def ledger():
    figures = bench("ledger", "--entries", "600", "--concurrency", "8")
    g.equal(figures["violations"], 0, str(figures))
    api, inside = figures["api"], figures["inside"]
    g.equal((api["entries"], api["accepted_to_integrated"]["count"], inside["entries"]), (600, 600, 600))
    times(api["append"])
    times(api["accepted_to_integrated"])
    for name in ("appended_per_s", "integrated_per_s"):
        assert api[name] > 0 and inside[name] > 0, figures
    for name in ("floor_rows_per_s", "append_ratio_to_floor", "floor_leaves_per_s"):
        assert inside[name] > 0, inside


@tap.test("the floors are measured, PostgreSQL's where it is installed")
def baseline():
    figures = bench("baseline", "--seconds", "1", "--clients", "4")
    for name in ("sqlite_sales_per_s", "fsyncs_per_s", "ed25519_verifies_per_s", "ed25519_signs_per_s", "http_requests_per_s",
                 "argon2id_per_s_1_thread", "argon2id_per_s_2_threads", "merkle_leaves_per_s"):
        assert figures[name] > 0, figures
    assert 0 <= figures["halted_share"] < 1 and 0 <= figures["halt_mean_ms"] <= figures["halt_longest_ms"], figures
    assert figures["pgbench_sales_per_s"] is None or figures["pgbench_sales_per_s"] > 0, figures


@tap.test("what it does not understand it refuses with status 2")
def refused():
    for arguments in (["nothing"], ["sellout", "--seats", "1"], ["sellout", "--per-order", "11"], ["sellout", "--nothing"], ["sellout", "--buyers"],
                      ["gate", "--scanners", "0"], ["gate", "--tickets", "240000"], ["grow", "--tickets", "5,3"], ["grow", "--tickets", "x"],
                      ["map", "--readers", "0"], ["login", "--concurrency", "0"], ["ledger", "--entries", "0"]):
        assert bench(*arguments, expect=2)
    bench("sellout", "--program", "/bin/false", expect=2)


tap.run()
