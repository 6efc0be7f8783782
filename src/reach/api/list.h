/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_LIST_H
#define REACH_API_LIST_H

/* list - the frame of every list: {"data": [...], "next_cursor": ...}. */
#include "reach/api/call.h"

/* Rows of one list whose texts may be long (descriptions, repairs): 200 of them are more than a request's arena holds. */
enum { LIST_ROWS_MAX = 16 << 20 };

void list_begin(struct call *c, struct json_writer *w);
/*
 * For lists by a time that many rows share: how many rows of the last row's millisecond were given so far, the `no` to go on
 * after. times points at the first row's time, the next is stride bytes on; count >= 1.
 */
int64_t list_same_ms(const struct store_page *page, const int64_t *times, size_t stride,
                     size_t count);
/* more: there may be another page, beginning after the row with these two sort values. */
RESULT list_end(struct call *c, struct json_writer *w, bool more, int64_t key, int64_t no);

#endif
