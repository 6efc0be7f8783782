// SPDX-License-Identifier: Apache-2.0
//
// scan-code - what a reader or a person typed, made into the code that was meant.
//
// A code is "GH1:" and base45, whose alphabet has the space: a code may end in one, so blanks are not simply trimmed.
// Base45 never has a length of 3n + 1; a blank that makes it so came from a hurried finger or a copied line.

export const CODE_MAX = 1024;

export function normaliseCode(typed: string): string {
    let code = typed.replace(/[\r\n\t]/g, '').replace(/^ +/, '');
    if (/^ghT?1:/i.test(code)) {
        code = code.toUpperCase();
        const body = code.length - code.indexOf(':') - 1;
        if (body % 3 === 1 && code.endsWith(' ')) code = code.slice(0, -1);
    } else {
        code = code.trimEnd();
    }
    return code.slice(0, CODE_MAX);
}
