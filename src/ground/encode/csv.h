/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_CSV_H
#define GROUND_ENCODE_CSV_H

/*
 * csv - comma-separated rows (RFC 4180: CRLF, quotes doubled) that a spreadsheet cannot be tricked by: a text that a
 * spreadsheet would take for a formula gets an apostrophe in front. Guarded are the first characters = + - @ TAB CR LF NUL
 * and the full-width forms of the first four, also behind leading spaces. Numbers of our own go through csv_i64, unguarded.
 */
#include <stdint.h>

#include "ground/base/span.h"

struct csv_writer {
    struct buf *out;
    bool in_row;
};

void csv_init(struct csv_writer *w, struct buf *out);
void csv_text(struct csv_writer *w, struct span text);
void csv_cstr(struct csv_writer *w, const char *text); /* NULL is an empty field */
void csv_i64(struct csv_writer *w, int64_t value);
void csv_row_end(struct csv_writer *w);

#endif
