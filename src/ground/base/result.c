/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct err_info last;

static const struct {
    const char *name;
    int status;
} table[ERR_COUNT] = {
    [OK] = {"ok", 200},
#define ERR(name, status, level, meaning) [ERR_##name] = {#name, status},
#include "ground/base/errors.def"
#undef ERR
};

const struct err_info *err_last(void)
{
    return &last;
}

void err_save(struct err_info *ret_info)
{
    *ret_info = last;
}

enum err err_restore(const struct err_info *info)
{
    last = *info;
    return last.code;
}

void err_clear(void)
{
    memset(&last, 0, sizeof last);
}

const char *err_name(enum err code)
{
    return code < ERR_COUNT ? table[code].name : "UNKNOWN";
}

int err_http_status(enum err code)
{
    return code < ERR_COUNT ? table[code].status : 500;
}

static void copy_word(char *out, size_t size, const char *word)
{
    size_t n = word ? strnlen(word, size - 1) : 0;
    if (n)
        memcpy(out, word, n);
    out[n] = '\0';
}

enum err err_raise(enum err code, const char *pointer, const char *file, int line, const char *slug,
                   const char *format, ...)
{
    va_list args;

    last.code = code;
    last.frame_count = 0;
    copy_word(last.slug, sizeof last.slug, slug);
    copy_word(last.pointer, sizeof last.pointer, pointer);
    va_start(args, format);
    if (vsnprintf(last.detail, sizeof last.detail, format, args) < 0)
        last.detail[0] = '\0';
    va_end(args);
    return err_trace(code, file, line);
}

enum err err_trace(enum err code, const char *file, int line)
{
    if (last.frame_count < ERR_FRAMES_MAX)
        last.frames[last.frame_count++] = (struct err_frame){file, line};
    return code;
}

void err_describe(const struct err_info *info, char *out, size_t out_size)
{
    size_t used;
    int n = snprintf(out, out_size, "%s: %s (%s)", info->slug, info->detail, err_name(info->code));

    if (n < 0 || (size_t)n >= out_size)
        return;
    used = (size_t)n;
    for (size_t i = 0; i < info->frame_count; i++) {
        n = snprintf(out + used, out_size - used, "%s%s:%d", i ? " < " : " at ",
                     info->frames[i].file, info->frames[i].line);
        if (n < 0 || (size_t)n >= out_size - used)
            return;
        used += (size_t)n;
    }
}

void invariant_failed(const char *file, int line, const char *condition, const char *words)
{
    fprintf(stderr, "{\"level\":\"fatal\",\"msg\":\"invariant broken: %s\",\"at\":\"%s:%d\"}\n",
            words, file, line);
    (void)condition;
    abort();
}
