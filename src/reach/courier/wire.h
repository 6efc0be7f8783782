/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_COURIER_WIRE_H
#define REACH_COURIER_WIRE_H

/*
 * wire - what the two sides of this room say to each other, inside the frames of ground/proc/channel.h. Numbers are
 * big-endian; a text is a u32 length and its bytes. Both sides check whatever they read.
 */
#include "ground/proc/channel.h"
#include "reach/courier/courier.h"

enum wire_type { WIRE_SETUP = 1, WIRE_CALL, WIRE_MAIL };

void wire_put_text(struct buf *b, struct span text);
/* NULL becomes empty. */
void wire_put_cstr(struct buf *b, const char *text);
/* Borrowed. */
RESULT wire_text(struct cursor *c, size_t max, struct span *ret_text);
/* An owned copy, at most max bytes, without NUL; NULL for an empty one. *ret_text must be NULL or an owned text. */
RESULT wire_cstr(struct cursor *c, size_t max, char **ret_text);

void wire_put_answer(struct buf *b, const struct courier_answer *a);
RESULT wire_answer(struct span payload, struct courier_answer *ret_answer);

/* Rules that both sides hold calls to. ERR_INVALID "bad_call". */
RESULT wire_check_path(struct span path);
RESULT wire_check_header(struct span name, struct span value);
RESULT wire_check_address(struct span address);
RESULT wire_check_name(struct span name);

#endif
