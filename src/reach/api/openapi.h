/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_OPENAPI_H
#define REACH_API_OPENAPI_H

/* openapi - the OpenAPI 3.1 document, made from the route table and shapes.def; written once, at start. */
#include "reach/api/api.h"

RESULT openapi_write(struct api *api);

#endif
