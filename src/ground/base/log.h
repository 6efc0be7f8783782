/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_LOG_H
#define GROUND_BASE_LOG_H

/*
 * log - one JSON object a line on standard error. Libraries below reach never log: they return errors, and the loop that
 * owns the request logs once. Values are escaped, so that no input can forge a line. Never personal data or secrets.
 */
#include "ground/base/result.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };

/*
 * Everything below the level is dropped; default LOG_INFO. The name appears in each line ("serve", "signer"). The environment's
 * GATEHOUSE_LOG (debug, info, warn, error, fatal) goes before `least`, in children too.
 */
void log_setup(enum log_level least, const char *program);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One line with the error's slug, sentence and path. */
void log_error_info(enum log_level level, const char *doing, const struct err_info *info);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
