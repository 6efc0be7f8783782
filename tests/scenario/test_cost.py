#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many instructions a hold, an order, a payment, a scan and a proof take, against tests/snapshot/costs.txt.

callgrind counts them, which a busy machine does not disturb. The counts hold for gcc's ordinary build on a processor with AVX2;
sanitizers and other compilers are skipped. GATEHOUSE_SNAPSHOT=write writes the file anew.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import gatehouse as g

COSTS = g.ROOT / "tests/snapshot/costs.txt"
GROWTH = 1.10
tap = g.Tap()


def skip_reason():
    options = {o["name"]: o["value"] for o in json.loads((g.BUILD / "meson-info/intro-buildoptions.json").read_text())}
    compilers = json.loads((g.BUILD / "meson-info/intro-targets.json").read_text())
    words = " ".join(compilers[0]["target_sources"][0]["compiler"])
    if options["b_sanitize"] != "none":
        return "valgrind does not run sanitized programs"
    if "gcc" not in words and not words.endswith("cc"):
        return "counted with gcc"
    if options["optimization"] != "2":
        return "counted with -O2"
    if " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text():
        return "counted on a processor with AVX2"
    return None


def measure():
    with tempfile.TemporaryDirectory(prefix="gatehouse-cost-") as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out",
                               str(g.BUILD / "bench/gatehouse-cost")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900)
        g.equal(done.returncode, 0, done.stdout[-3000:])
        batch = int(re.findall(r"^(\d+)$", done.stdout, re.MULTILINE)[-1])
        sums = {}
        for dump in pathlib.Path(folder).iterdir():
            text = dump.read_text()
            part = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.MULTILINE)
            if part:
                total = int(re.search(r"^totals: (\d+)$", text, re.MULTILINE).group(1))
                sums.setdefault(part.group(1), []).append(total)
    return {part: sum(totals) // len(totals) // batch for part, totals in sums.items()}


def read_costs():
    lines = [line.split() for line in COSTS.read_text().splitlines() if line and not line.startswith("#")]
    return {name: int(count) for name, count in lines}


def write_costs(counts):
    COSTS.write_text("# Instructions of one of each, as callgrind counts them: gcc -O2, Debian 12, AVX2 without SHA extensions (which\n"
                     "# valgrind does not know: of a sale, nearly half are SHA-256 in plain code). Written by tests/scenario/test_cost.py.\n"
                     + "".join(f"{name} {counts[name]}\n" for name in counts))


def fits(now, was):
    return 0 < now <= was * GROWTH


why = skip_reason()
if why:
    print(f"1..1\nok 1 costs # SKIP {why}")
    sys.exit(0)
counts = measure()
if os.environ.get("GATEHOUSE_SNAPSHOT") == "write":
    write_costs({name: counts[name] for name in sorted(counts)})


@tap.test("every part was counted, and no other")
def parts():
    g.equal(sorted(counts), sorted(read_costs()), "costs.txt and gatehouse-cost name the same parts")


for name, was in sorted(read_costs().items()):
    @tap.test(f"{name} takes no more than a tenth over its {was} instructions")
    def within(name=name, was=was):
        now = counts.get(name, 0)
        print(f"# {name}: {now} now, {was} in the file ({now / was - 1:+.1%})")
        assert fits(now, was), f"{name} takes {now} instructions, {now / was - 1:+.1%}: find out why, or write the file anew"


@tap.test("a part that grew by an eighth, or is not counted at all, is refused")
def refuses():
    for was in read_costs().values():
        assert fits(was, was) and not fits(was * 9 // 8, was) and not fits(0, was)


tap.run()
