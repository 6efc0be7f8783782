/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_BANNED_H
#define GROUND_BASE_BANNED_H

/*
 * banned - names that no source may speak, so that using one is a compile error with or without the lint.
 *
 * base.h ends with this header. The system headers that declare these names come first, since a poisoned name may not
 * appear again, not even in a declaration. tools/lint-banned knows more names (those whose use depends on the folder, such
 * as time and fork) and says what to use instead.
 */
#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Unbounded writes: use a struct buf, or snprintf. (glibc's fortified headers make macros of two of them.) */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat stpcpy strncpy strncat sprintf vsprintf gets
/* Hidden state, silent overflow: use cursors, text_to_i64 and text_to_u64. */
#pragma GCC poison strtok atoi atol atoll atof
/* Guessable numbers: use the struct rng that was passed in. */
#pragma GCC poison rand_r srand srandom drand48 lrand48 mrand48
/* The process's time zone: use the event's own. */
#pragma GCC poison localtime gmtime ctime asctime
/* Races on names: use mkstemp and mkdtemp. */
#pragma GCC poison tmpnam tempnam mktemp

#endif
