#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn files into a C table.

usage: embed.py OUT.c HEADER STRUCT SYMBOL FILE...

OUT.c includes HEADER, which declares `struct STRUCT {const char *name; const char *data; size_t len;}` and
`extern const struct STRUCT SYMBOL[]` and `extern const size_t SYMBOL_count`. Rows come in the order of the names; data is
terminated, len does not count the terminator.
"""
import os
import sys


def literal(data):
    lines = []
    for start in range(0, len(data), 64):
        # Three octal digits always: a following digit cannot join the escape.
        lines.append('    "' + ''.join(
            chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else '\\%03o' % b for b in data[start:start + 64]) + '"')
    return '\n'.join(lines) or '    ""'


def main():
    out, header, struct, symbol, *paths = sys.argv[1:]
    rows = []
    for path in sorted(paths, key=os.path.basename):
        with open(path, 'rb') as f:
            data = f.read()
        rows.append('{"%s",\n%s,\n %d},' % (os.path.basename(path), literal(data), len(data)))
    with open(out, 'w', encoding='ascii') as f:
        f.write('/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by tools/embed.py. */\n#include "%s"\n\n' % header)
        f.write('const struct %s %s[] = {\n%s\n};\n' % (struct, symbol, '\n'.join(rows)))
        f.write('const size_t %s_count = %d;\n' % (symbol, len(rows)))


main()
