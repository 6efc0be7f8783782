/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/list.h"

void list_begin(struct call *c, struct json_writer *w)
{
    call_begin(c, 200, w);
    json_w_object(w);
    json_w_kv_array(w, "data");
}

enum err list_end(struct call *c, struct json_writer *w, bool more, int64_t key, int64_t no)
{
    char cursor[64];

    json_w_end(w);
    json_w_key(w, "next_cursor");
    if (more) {
        call_cursor(key, no, cursor);
        json_w_cstr(w, cursor);
    } else {
        json_w_null(w);
    }
    json_w_end(w);
    return call_end(c, w);
}
