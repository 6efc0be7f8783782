/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_RESULT_H
#define GROUND_BASE_RESULT_H

/*
 * result - the one must-check outcome type, and the four macros every body is written with.
 *
 * A function that can fail returns RESULT. The first FAIL of a chain records code, slug, sentence and place in a
 * thread-local `struct err_info`; each TRY on the way up appends its own place, so that an error arrives with its path.
 * The slug is a stable word for machines (it becomes the problem type of the API: see reach/api/problems.def), the
 * sentence is for people. Neither may hold personal data or secrets.
 *
 * Why a thread-local: an error object passed through every call would be forgotten; see s2n-tls.
 */
#include <stddef.h>

/* The closed set of outcomes. errors.def gives each its HTTP status and log level. */
enum err {
    OK = 0,
#define ERR(name, status, level, meaning) ERR_##name,
#include "ground/base/errors.def"
#undef ERR
    ERR_COUNT
};

enum { ERR_FRAMES_MAX = 12, ERR_SLUG_MAX = 40, ERR_DETAIL_MAX = 240, ERR_POINTER_MAX = 80 };

struct err_frame {
    const char *file; /* static */
    int line;
};

struct err_info {
    enum err code;
    char slug[ERR_SLUG_MAX];       /* machine word, [a-z0-9_]+ */
    char detail[ERR_DETAIL_MAX];   /* one sentence for the person who can mend it */
    char pointer[ERR_POINTER_MAX]; /* JSON pointer fragment ("#/seats/0") or empty */
    struct err_frame frames[ERR_FRAMES_MAX];
    size_t frame_count;
};

#define RESULT __attribute__((warn_unused_result)) enum err

/* The error most recently raised on this thread; valid until the next FAIL. Never NULL. */
const struct err_info *err_last(void);
/* Copy it into the caller's place, for handing to another thread. */
void err_save(struct err_info *ret_info);
/* Make a saved error this thread's last one and return its code. */
RESULT err_restore(const struct err_info *info);
void err_clear(void);
/* "conflict", "not_found", ...; never NULL. */
const char *err_name(enum err code);
/* HTTP status of a code (errors.def); 200 for OK. */
int err_http_status(enum err code);
/* Write "slug: detail (code) at file:line < file:line" into out; always terminated. */
void err_describe(const struct err_info *info, char *out, size_t out_size);

enum err err_raise(enum err code, const char *pointer, const char *file, int line, const char *slug,
                   const char *format, ...) __attribute__((format(printf, 6, 7), cold));
enum err err_trace(enum err code, const char *file, int line) __attribute__((cold));

/* FAIL(ERR_CONFLICT, "seat_taken", "Seat %s is held or sold.", name) */
#define FAIL(code, slug, ...)                                                                      \
    return (err_raise((code), NULL, __FILE__, __LINE__, (slug), __VA_ARGS__), (code))
/* The same with the JSON pointer of the member at fault. */
#define FAIL_AT(pointer, code, slug, ...)                                                          \
    return (err_raise((code), (pointer), __FILE__, __LINE__, (slug), __VA_ARGS__), (code))
#define ENSURE(condition, code, slug, ...)                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL(code, slug, __VA_ARGS__);                                                         \
    } while (0)
#define ENSURE_AT(condition, pointer, code, slug, ...)                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL_AT(pointer, code, slug, __VA_ARGS__);                                             \
    } while (0)
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum err try_code_ = (call);                                                               \
        if (__builtin_expect(try_code_ != OK, 0))                                                  \
            return (err_trace(try_code_, __FILE__, __LINE__), try_code_);                          \
    } while (0)
/* AUTO(buf_done) struct buf b; runs the destructor when the scope ends. The destructor takes a pointer to the variable. */
#define AUTO(destructor) __attribute__((cleanup(destructor)))

/* Always on. No input may reach one: an input-triggered abort is a security bug. */
#define INVARIANT(condition, words)                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            invariant_failed(__FILE__, __LINE__, #condition, words);                               \
    } while (0)
_Noreturn void invariant_failed(const char *file, int line, const char *condition,
                                const char *words);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
