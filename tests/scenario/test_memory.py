#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the server keeps in memory only for a while."""
import pathlib
import re

import gatehouse as g

PASSWORD_KB = 19 * 1024  # of a fan's password (src/ground/crypto/password.c)
tap = g.Tap()
at = {}


def memory_kb(name):
    status = pathlib.Path(f"/proc/{at['server'].process.process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE).group(1))


@tap.test("the memory in which a password was hashed is given back when no other comes")
def password_memory():
    at["server"] = g.Server()
    g.Person(at["server"], "fan@example.org", "Fan").sign_in()
    g.until("less memory than at most", lambda: memory_kb("VmRSS") < memory_kb("VmHWM") - PASSWORD_KB // 2)


@tap.cleanup
def clean():
    if "server" in at:
        at["server"].close()


tap.run()
