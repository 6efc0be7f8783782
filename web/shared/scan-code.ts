// SPDX-License-Identifier: Apache-2.0
//
// scan-code - what a reader or a person typed, made into the code that was meant.
//
// A code is "GH1:" and base45, whose alphabet has the space: a code may end in one, so blanks are not simply trimmed.
// Base45 never has a length of 3n + 1; a blank that makes it so came from a hurried finger or a copied line.

/** The server takes 1024 bytes; a code of ours has at most 350. */
export const CODE_MAX = 1000;

export function normaliseCode(typed: string): string {
    // Control characters have no place in a code, and none in the line that is signed.
    let code = typed.replace(/[\u0000-\u001f\u007f]/g, '').replace(/^ +/, '');
    if (/^ghT?1:/i.test(code)) {
        code = code.toUpperCase();
        const body = code.length - code.indexOf(':') - 1;
        if (body % 3 === 1 && code.endsWith(' ')) code = code.slice(0, -1);
    } else {
        code = code.trimEnd();
    }
    return clip(code);
}

/** At most CODE_MAX bytes of UTF-8, cut between characters, and well formed: it is signed as it is sent. */
function clip(code: string): string {
    const out = new Uint8Array(CODE_MAX);
    const { written } = new TextEncoder().encodeInto(code, out);
    return new TextDecoder().decode(out.subarray(0, written));
}
