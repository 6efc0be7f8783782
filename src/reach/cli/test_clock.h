/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_TEST_CLOCK_H
#define REACH_CLI_TEST_CLOCK_H

/* test_clock - in test mode only: the machine's clock moved by the milliseconds in a file, looked at every 50 ms by a thread. */
#include "ground/base/base.h"

struct test_clock;

RESULT test_clock_start(const char *path, struct test_clock **ret_clock);
const struct clock *test_clock_clock(struct test_clock *t);
void test_clock_stop(struct test_clock *t); /* NULL is fine */

#endif
