/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_UTF8_H
#define GROUND_BASE_UTF8_H

/* utf8 - what may be stored as text that people typed. Source: RFC 3629; shared rules in SECURITY.md (text fields). */
#include "ground/base/span.h"

/* Well-formed, shortest form, no surrogates, at most U+10FFFF. */
bool utf8_valid(struct span s);
/* Code points; s must be valid. */
size_t utf8_count(struct span s);
/*
 * A name, title or other single line: 1..max_chars code points, valid, without control characters, bidirectional overrides
 * (U+202A-202E, U+2066-2069), zero-width characters or a byte order mark, not beginning or ending in a space.
 * ERR_INVALID "bad_text" at pointer (may be NULL).
 */
RESULT utf8_check_line(struct span s, size_t max_chars, const char *pointer);
/* The same, but line feeds are allowed and it may be empty. */
RESULT utf8_check_paragraph(struct span s, size_t max_chars, const char *pointer);

#endif
