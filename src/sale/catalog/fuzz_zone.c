/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t at_ms[] = {0, INT64_C(1790000000000), INT64_C(-3000000000000),
                                    INT64_C(253402300799000)};
    struct zone *z = NULL;
    char text[ZONE_TEXT_MAX];

    if (zone_parse(span_of(data, size), &z) != OK)
        return 0;
    for (size_t i = 0; i < COUNT_OF(at_ms); i++)
        zone_format(z, at_ms[i], text);
    zone_free(&z);
    return 0;
}
