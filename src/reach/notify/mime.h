/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_NOTIFY_MIME_H
#define REACH_NOTIFY_MIME_H

/* mime - headers and body of a plain UTF-8 mail (RFC 5322, 2045, 2047). */
#include "ground/base/span.h"

/* "Name: value" CRLF; control bytes become spaces, text beyond ASCII becomes encoded words. */
void mime_put_header(struct buf *b, const char *name, struct span value);
/* "Date: Mon, 23 Nov 2026 16:00:00 +0000" CRLF. */
void mime_put_date(struct buf *b, int64_t at_ms);
/* Quoted-printable; line feeds of the text become CRLF. */
void mime_put_body(struct buf *b, struct span text);

/*
 * The way back, for showing a mail of ours: a body in quoted-printable (line ends become line feeds), and a header's value with its
 * encoded words (utf-8, B) and folded lines. What is not of that form is copied as it stands.
 */
void mime_read_body(struct buf *out, struct span body);
void mime_read_header(struct buf *out, struct span value);

#endif
