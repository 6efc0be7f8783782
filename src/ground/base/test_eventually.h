/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_TEST_EVENTUALLY_H
#define GROUND_BASE_TEST_EVENTUALLY_H

/* test_eventually - for tests of what other threads and processes do. After cmocka.h; the includer says PATIENCE_MS. */
#include <poll.h>

#include "ground/base/clock.h"

/* Look at something until it is so; fails the test when it does not become so. */
#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int64_t until_ = clock_mono_ms(clock_system()) + PATIENCE_MS;                              \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms(clock_system()) > until_)                                            \
                fail_msg("never became true: %s", #condition);                                     \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
    } while (0)

#endif
