/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_PAGES_H
#define REACH_API_PAGES_H

/* pages - everything that is not the API: built pages, the ledger's public files, the local authority's certificate. */
#include "reach/api/api.h"

void pages_reply(struct api *api, struct http_exchange *x);

#endif
