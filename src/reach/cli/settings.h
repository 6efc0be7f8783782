/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_SETTINGS_H
#define REACH_CLI_SETTINGS_H

/*
 * settings - gatehouse.conf: one commented ini file in the data directory, checked as a whole at start.
 *
 * Every key is in settings.def; an unknown section or key, a key given twice, or a value of the wrong form is refused with the
 * file's line. Secrets are not in it: it names files that hold them. (The only room with ini.h.)
 */
#include "ground/base/base.h"

enum { SETTING_MAX = 512 };

struct settings {
#define SETTING(section, key, value, check, comment) char section##_##key[SETTING_MAX];
#include "reach/cli/settings.def"
#undef SETTING
};

/* What settings.def says. */
void settings_defaults(struct settings *s);
/* ERR_INVALID "bad_setting": the detail is "gatehouse.conf:12: ...". ERR_NOT_FOUND when there is no such file. */
RESULT settings_load(const char *path, struct settings *ret_settings);
/* The commented file with these values. */
void settings_write(const struct settings *s, struct buf *out);
/* "on" of an on|off setting. */
bool setting_on(const char *value);
/* A number setting that settings_load has checked. */
int64_t setting_number(const char *value);
/* "127.0.0.1:8080", "[::1]:8080" into its parts. ERR_INVALID "bad_address". */
RESULT setting_address(const char *value, char *ret_host, size_t host_size, uint16_t *ret_port);

#endif
