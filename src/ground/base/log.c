/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ground/base/clock.h"
#include "ground/base/span.h"

/* Why mutable globals: the log sink is the one exception that STYLE allows. */
static enum log_level least_level = LOG_INFO;
static char program_name[16] = "gatehouse";
static const char *const names[] = {"debug", "info", "warn", "error", "fatal"};

void log_setup(enum log_level least, const char *program)
{
    const char *wish = getenv("GATEHOUSE_LOG");

    least_level = least;
    for (size_t i = 0; wish && i < COUNT_OF(names); i++)
        if (strcmp(wish, names[i]) == 0)
            least_level = (enum log_level)i;
    (void)snprintf(program_name, sizeof program_name, "%s", program);
}

static size_t escape(const char *in, char *out, size_t size)
{
    size_t n = 0;
    for (; *in && n + 7 < size; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return n;
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[1024], escaped[2100], line[2300], time[TIME_TEXT_MAX];
    va_list args;
    int n;

    if (level < least_level)
        return;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return;
    escape(text, escaped, sizeof escaped);
    time_format(clock_now_ms(clock_system()), time);
    n = snprintf(line, sizeof line,
                 "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":\"%s\"}\n", time,
                 names[level], program_name, escaped);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof line)
        n = (int)sizeof line - 1;
    /* One write, so that lines of several threads do not mix. Nothing useful can be done when the log itself fails. */
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

void log_error_info(enum log_level level, const char *doing, const struct err_info *info)
{
    char text[900];
    err_describe(info, text, sizeof text);
    log_write(level, "%s: %s", doing, text);
}
