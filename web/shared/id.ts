// SPDX-License-Identifier: Apache-2.0
//
// id - names of new things, chosen here so that a request can be sent twice and done once.
//
// A three-letter prefix, '_' and 26 characters of lower-case Crockford base32: 48 bits of Unix milliseconds and 80 random
// bits, big-endian, with two leading zero bits (src/ground/base/id.h is the other side of this contract).

const digits = '0123456789abcdefghjkmnpqrstvwxyz';

export type IdKind = 'org' | 'ven' | 'pln' | 'evt' | 'hld' | 'ord' | 'acc' | 'grt' | 'dev';

export function encodeId(kind: string, bytes: Uint8Array): string {
    let text = `${kind}_`;
    let acc = 0;
    let bits = 2;
    for (const byte of bytes) {
        acc = (acc << 8) | byte;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            text += digits[(acc >> bits) & 31];
        }
        acc &= (1 << bits) - 1;
    }
    return text;
}

export function makeId(kind: IdKind, nowMs: number = Date.now()): string {
    const bytes = new Uint8Array(16);
    crypto.getRandomValues(bytes);
    let ms = Math.max(0, Math.floor(nowMs));
    for (let i = 5; i >= 0; i--) {
        bytes[i] = ms % 256;
        ms = Math.floor(ms / 256);
    }
    return encodeId(kind, bytes);
}

const idPattern = /^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** True for a well-formed id of that kind: what may stand in an address we ask for. */
export function isId(kind: string, text: string | undefined): text is string {
    return text !== undefined && text.startsWith(`${kind}_`) && idPattern.test(text);
}
