/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_TLS_FILES_H
#define REACH_CLI_TLS_FILES_H

/* tls_files - the certificate of the local authority: which names it needs, when it is made anew. */
#include "reach/cli/install.h"

/*
 * tls/server.pem and tls/server-key.pem cover localhost, the loopback addresses, this machine's name and addresses, and the
 * tls_names of the settings, for at least 30 days more; else they are made anew.
 */
RESULT tls_files_ready(const struct install *install, const struct clock *clock);
/* The address to tell people: the listener's, or for 0.0.0.0 and :: this machine's first one that is not loopback. */
void tls_files_shown_address(const char *listen_host, char *out, size_t size);

#endif
