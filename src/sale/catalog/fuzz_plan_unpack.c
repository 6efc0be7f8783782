/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packed *p = NULL;
    struct place_names names;
    char label[PLACE_LABEL_MAX];

    AUTO(arena_done) struct arena arena = {0};
    const struct plan_category *categories;
    size_t count;
    arena_init(&arena, 1 << 20);
    bool head = plan_unpack_categories(span_of(data, size), &arena, &categories, &count) == OK;
    if (plan_unpack(span_of(data, size), &p) != OK)
        return 0;
    INVARIANT(head && count == p->category_count, "a good plan has a good head");
    for (uint32_t i = 0; i < p->places; i += 1 + p->places / 64) {
        place_names(p, i, &names);
        place_label(p, i, label);
        INVARIANT(utf8_valid(span_text(label)), "labels are UTF-8");
    }
    packed_free(&p);
    return 0;
}
