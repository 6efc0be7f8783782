#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden.json: ticket codes and the verdict each deserves.

A second implementation of the format in trust/credential/credential.h, written from its description, so that the C code and
the TypeScript code are held against something other than themselves. Needs python3-cryptography. Keys are test keys.
"""
import hashlib
import json
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def head(kind, n):
    for bits, code in ((8, 24), (16, 25), (32, 26), (64, 27)):
        if n < 24:
            return bytes([kind << 5 | n])
        if n < 1 << bits:
            return bytes([kind << 5 | code]) + n.to_bytes(bits // 8, "big")
    raise ValueError(n)


class Raw(bytes):
    """Bytes that are CBOR already."""


class Tag:
    def __init__(self, tag, item):
        self.tag, self.item = tag, item


def cbor(v):
    if isinstance(v, Raw):
        return bytes(v)
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        b = v.encode()
        return head(3, len(b)) + b
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(cbor, v))
    if isinstance(v, dict):
        pairs = sorted((cbor(k), cbor(x)) for k, x in v.items())
        return head(5, len(pairs)) + b"".join(k + x for k, x in pairs)
    if isinstance(v, Tag):
        return head(6, v.tag) + cbor(v.item)
    raise TypeError(v)


ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def base45(b):
    out = ""
    for i in range(0, len(b), 2):
        n = int.from_bytes(b[i:i + 2], "big")
        for _ in range(3 if len(b) - i > 1 else 2):
            out += ALPHABET[n % 45]
            n //= 45
    return out


def kid(label, key):
    return hashlib.sha256(label + key).digest()[:4]


SEED, OTHER_SEED = bytes(range(32)), bytes(range(32, 64))
GATE, OTHER_GATE = bytes(range(64, 96)), bytes(range(96, 128))
ISSUER, OTHER = (Ed25519PrivateKey.from_private_bytes(s) for s in (SEED, OTHER_SEED))
raw = lambda k: k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
ISSUER_KID, OTHER_KID = (kid(b"gatehouse/issuer-kid/v1\n", raw(k)) for k in (ISSUER, OTHER))
GATE_KID, OTHER_GATE_KID = (kid(b"gatehouse/gate-kid/v1\n", k) for k in (GATE, OTHER_GATE))
HOLDER = raw(Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
FORMS = {"live": 1, "paper": 2, "wallet": 3}


def claims_map(c):
    m = {7: bytes.fromhex(c["ticket"]),
         -65537: [c["event_number"], c["generation"], c["place_no"], c["place"], FORMS[c["form"]], c["entry_class"]]}
    if c.get("not_before_s"):
        m[5] = c["not_before_s"]
    if c.get("expires_s"):
        m[4] = c["expires_s"]
    if c.get("holder_key"):
        m[8] = {1: {1: 1, -1: 6, -2: bytes.fromhex(c["holder_key"])}}
    return m


def sign(payload, key=ISSUER, protected=None, unprotected=None, tag=18, signed_protected=None, signature=None):
    if protected is None:
        protected = cbor({1: -8, 4: ISSUER_KID})
    to_sign = cbor(["Signature1", protected if signed_protected is None else signed_protected, b"", payload])
    item = [protected, unprotected or {}, payload, signature or key.sign(to_sign)]
    return cbor(Tag(tag, item) if tag is not None else item)


def seal(ticket, key=GATE, protected=None, unprotected=None, tag=16, iv=bytes(range(12)), cut=0):
    if protected is None:
        protected = cbor({1: 3, 4: GATE_KID})
    aad = cbor(["Encrypt0", protected, b""])
    sealed = AESGCM(key).encrypt(iv, ticket, aad)
    item = [protected, unprotected if unprotected is not None else {5: iv}, sealed[:len(sealed) - cut]]
    return cbor(Tag(tag, item) if tag is not None else item)


BASE = {"ticket": "0192f6a0c0de4a11bb22cc33dd44ee55", "event_number": 4711, "generation": 1, "place_no": 80000,
        "place": "North 12 / Row 3 / 4", "form": "paper", "entry_class": 2}
EXPECT = {"event_number": 4711, "now_ms": 1800000000000, "opens_ms": 1799990000000, "closes_ms": 1800010000000,
          "static_honoured": True, "test_mode": False}
accept, judge = [], []


def good(name, test_mode=False, **changes):
    c = {**BASE, **changes}
    payload = cbor(claims_map(c))
    ticket = sign(payload)
    sealed = seal(ticket)
    text = ("GHT1:" if test_mode else "GH1:") + base45(sealed)
    accept.append({"name": name, "claims": c, "iv": bytes(range(12)).hex(), "claims_cbor": payload.hex(),
                   "ticket": ticket.hex(), "sealed": sealed.hex(), "test_mode": test_mode, "text": text})
    return text


def case(name, reason, text, **expect):
    judge.append({"name": name, "text": text, "expect": {**EXPECT, **expect}, "reason": reason})


def code(name, reason, sealed, **expect):
    case(name, reason, "GH1:" + base45(sealed), **expect)


def ticket_case(name, reason, ticket):
    code(name, reason, seal(ticket))


def claims_case(name, reason, payload):
    ticket_case(name, reason, sign(payload))


plain = good("paper")
wallet = good("wallet", form="wallet", generation=70000, entry_class=300)
times = good("own times", not_before_s=1799999000, expires_s=1800000500)
live = good("live", form="live", holder_key=HOLDER.hex())
test_text = good("test mode", test_mode=True)
largest = good("largest static", event_number=2**32 - 1, generation=2**32 - 1, place_no=2**32 - 1, place="\u00c4" * 12,
               entry_class=65535, not_before_s=1799990001, expires_s=1800009999)

case("paper", "valid", plain)
case("wallet", "valid", wallet)
case("own times", "valid", times)
case("largest static", "valid", largest, event_number=2**32 - 1)
case("test mode at a test gate", "valid", test_text, test_mode=True)
case("first millisecond of the window", "valid", plain, now_ms=EXPECT["opens_ms"])
case("last millisecond of the window", "valid", plain, now_ms=EXPECT["closes_ms"] - 1)

case("before the window", "too_early", plain, now_ms=EXPECT["opens_ms"] - 1)
case("end of the window", "too_late", plain, now_ms=EXPECT["closes_ms"])
case("before its own time", "too_early", times, now_ms=1799998999999)
case("first second of its own time", "valid", times, now_ms=1799999000000)
case("end of its own time", "too_late", times, now_ms=1800000500000)
case("another event", "wrong_event", plain, event_number=4712)
case("printed codes are not taken", "static_not_honoured", plain, static_honoured=False)
case("live ticket without its live code", "stale_code", live)
case("live ticket without its live code, for another event", "wrong_event", live, event_number=1)
case("test code at a live gate", "malformed", test_text)
case("live code at a test gate", "malformed", plain, test_mode=True)
case("another prefix, the same key ring: the keys keep test and live apart", "valid", "GHT1:" + plain[4:], test_mode=True)

for name, text in (("nothing", ""), ("prefix alone", "GH1:"), ("no prefix", plain[4:]), ("lower case", plain.lower()),
                   ("other version", "GH2:" + plain[4:]), ("last character missing", plain[:-1]),
                   ("last two characters missing", plain[:-2]), ("last three characters missing", plain[:-3]),
                   ("a character more", plain + "0"), ("three characters more", plain + "000"),
                   ("space in front", " " + plain), ("line feed at the end", plain + "\n"),
                   ("a web address", "https://example.org/t/0192f6a0"), ("very long", "GH1:" + "0" * 3000)):
    case(name, "malformed", text)

p = cbor(claims_map(BASE))
t = sign(p)
code("layer 1 without its seal", "malformed", t)
code("seal without tag", "malformed", seal(t, tag=None))
code("seal with the tag of COSE_Encrypt", "malformed", seal(t, tag=96))
code("AES-128-GCM named", "malformed", seal(t, protected=cbor({1: 1, 4: GATE_KID})))
code("algorithm as text", "malformed", seal(t, protected=cbor({1: "A256GCM", 4: GATE_KID})))
code("no protected header", "malformed", seal(t, protected=b"", unprotected={1: 3, 4: GATE_KID, 5: bytes(range(12))}))
code("gate kid unprotected", "malformed", seal(t, protected=cbor({1: 3}), unprotected={4: GATE_KID, 5: bytes(range(12))}))
code("gate kid of five bytes", "malformed", seal(t, protected=cbor({1: 3, 4: GATE_KID + b"\0"})))
code("content type beside", "malformed", seal(t, protected=cbor({1: 3, 3: 0, 4: GATE_KID})))
code("crit header", "malformed", seal(t, protected=cbor({1: 3, 2: [4], 4: GATE_KID})))
code("headers in another order", "malformed", seal(t, protected=b"\xa2\x04\x44" + GATE_KID + b"\x01\x03"))
code("kid twice", "malformed", seal(t, unprotected={4: GATE_KID, 5: bytes(range(12))}))
code("IV of 11 bytes", "malformed", seal(t, unprotected={5: bytes(11)}))
code("no IV", "malformed", seal(t, unprotected={}))
code("other IV", "forged", seal(t, unprotected={5: bytes(12)}))
code("seal cut by a byte", "forged", seal(t, cut=1))
code("seal cut to nothing", "malformed", seal(t, cut=len(t) + 16))
code("byte after the seal", "malformed", seal(t) + b"\0")
code("indefinite array", "malformed", seal(t).replace(b"\xd0\x83", b"\xd0\x9f", 1) + b"\xff")
code("tag in two bytes", "malformed", b"\xd8\x10" + seal(t)[1:])
code("unknown gate key", "unknown_key", seal(t, key=OTHER_GATE, protected=cbor({1: 3, 4: OTHER_GATE_KID})))
code("gate key under a known name", "forged", seal(t, key=OTHER_GATE))

h = cbor({1: -8, 4: ISSUER_KID})
ticket_case("unknown issuer", "unknown_key", sign(p, key=OTHER, protected=cbor({1: -8, 4: OTHER_KID})))
ticket_case("issuer under a known name", "forged", sign(p, key=OTHER))
ticket_case("signature of zeroes", "forged", sign(p, signature=bytes(64)))
ticket_case("signature of 63 bytes", "forged", sign(p, signature=bytes(63)))
ticket_case("signed with other headers", "forged", sign(p, signed_protected=cbor({1: -8, 3: 0, 4: ISSUER_KID})))
ticket_case("ES256 named", "malformed", sign(p, protected=cbor({1: -7, 4: ISSUER_KID})))
ticket_case("algorithm 0 named", "malformed", sign(p, protected=cbor({1: 0, 4: ISSUER_KID})))
ticket_case("no protected header in the ticket", "malformed", sign(p, protected=b"", unprotected={1: -8, 4: ISSUER_KID}))
ticket_case("empty protected map in the ticket", "malformed", sign(p, protected=b"\xa0", signed_protected=b"", unprotected={4: ISSUER_KID}))
ticket_case("issuer kid unprotected", "malformed", sign(p, protected=cbor({1: -8}), unprotected={4: ISSUER_KID}))
ticket_case("unprotected content type", "malformed", sign(p, unprotected={3: 0}))
ticket_case("ticket without tag", "malformed", sign(p, tag=None))
ticket_case("ticket with the tag of a CWT", "malformed", cbor(Tag(61, Raw(sign(p)))))
ticket_case("ticket with the tag of COSE_Mac0", "malformed", sign(p, tag=17))
ticket_case("byte after the ticket", "malformed", sign(p) + b"\0")
ticket_case("payload of another ticket", "forged", sign(p).replace(p, cbor(claims_map({**BASE, "place_no": 80001})), 1))

m = claims_map(BASE)
g = m[-65537]
for name, change in (("event zero", {0: 0}), ("generation zero", {1: 0}), ("place of 25 bytes", {3: "A" * 25}),
                     ("place with a control character", {3: "A\x07"}), ("no place", {3: ""}), ("place as bytes", {3: b"A"}),
                     ("place with a direction change", {3: "A\u202eB"}), ("form zero", {4: 0}), ("form four", {4: 4}),
                     ("class of three bytes", {5: 65536}), ("event of five bytes", {0: 2**32}), ("negative generation", {1: -1})):
    claims_case(name, "malformed", cbor({**m, -65537: [change.get(i, v) for i, v in enumerate(g)]}))
claims_case("generation not in its shortest form", "malformed",
            cbor({**m, -65537: [g[0], Raw(b"\x18\x01"), *g[2:]]}))
claims_case("one item fewer", "malformed", cbor({**m, -65537: g[:5]}))
claims_case("one item more", "malformed", cbor({**m, -65537: g + [0]}))
claims_case("no ticket id", "malformed", cbor({-65537: g}))
claims_case("ticket id of zeroes", "malformed", cbor({**m, 7: bytes(16)}))
claims_case("ticket id of 15 bytes", "malformed", cbor({**m, 7: bytes([1]) * 15}))
claims_case("nothing of ours", "malformed", cbor({7: m[7]}))
claims_case("an issuer claim", "malformed", cbor({**m, 1: "x"}))
claims_case("empty payload", "malformed", b"")
claims_case("byte after the claims", "malformed", p + b"\0")
claims_case("claims in another order", "malformed", b"\xa2" + cbor(-65537) + cbor(g) + cbor(7) + cbor(m[7]))
claims_case("ticket id twice", "malformed", b"\xa3" + (cbor(7) + cbor(m[7])) * 2 + cbor(-65537) + cbor(g))
claims_case("times as floating point", "malformed", cbor({**m, 4: Raw(b"\xfb\x41\xda\xd2\x74\x80\x00\x00\x00")}))
claims_case("expires before it begins", "malformed", cbor({**m, 4: 1799999000, 5: 1799999000}))
claims_case("expires at zero", "malformed", cbor({**m, 4: 0}))
claims_case("paper with a holder key", "malformed", cbor({**m, 8: {1: {1: 1, -1: 6, -2: HOLDER}}}))
live_g = g[:4] + [1] + g[5:]
claims_case("live without a holder key", "malformed", cbor({**m, -65537: live_g}))
for name, key in (("low-order holder key", bytes([1]) + bytes(31)), ("zero holder key", bytes(32)),
                  ("holder key of 31 bytes", HOLDER[:31]), ("holder key not canonical", bytes([0xee]) + bytes([255]) * 30 + b"\x7f")):
    claims_case(name, "malformed", cbor({**m, -65537: live_g, 8: {1: {1: 1, -1: 6, -2: key}}}))
claims_case("holder key of another curve", "malformed", cbor({**m, -65537: live_g, 8: {1: {1: 1, -1: 4, -2: HOLDER}}}))
claims_case("holder key with its private part", "malformed",
            cbor({**m, -65537: live_g, 8: {1: {1: 1, -1: 6, -2: HOLDER, -4: bytes(32)}}}))

out = {"source": "make_golden.py, an implementation apart from the program's", "issuer_seed": SEED.hex(),
       "issuer_public": raw(ISSUER).hex(), "issuer_kid": ISSUER_KID.hex(), "gate_key": GATE.hex(),
       "gate_kid": GATE_KID.hex(), "accept": accept, "judge": judge}
path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json")
with open(path, "w", encoding="utf-8") as f:
    json.dump(out, f, indent=1, ensure_ascii=True)
    f.write("\n")
print(f"{len(accept)} codes, {len(judge)} verdicts; largest static {max(len(a['sealed']) // 2 for a in accept if a['claims']['form'] != 'live')} bytes")
