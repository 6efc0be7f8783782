/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/list.h"

#include <string.h>

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

static int64_t time_at(const int64_t *times, size_t stride, size_t i)
{
    int64_t ms;
    memcpy(&ms, (const char *)times + i * stride, sizeof ms);
    return ms;
}

int64_t list_same_ms(const struct store_page *page, const int64_t *times, size_t stride,
                     size_t count)
{
    int64_t last_ms = time_at(times, stride, count - 1);
    size_t same = 1;

    while (same < count && time_at(times, stride, count - 1 - same) == last_ms)
        same++;
    bool goes_on = same == count && page->after_key == last_ms && page->after_no > 0;
    return (int64_t)same + (goes_on ? page->after_no : 0);
}
