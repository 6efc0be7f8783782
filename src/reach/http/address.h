/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_ADDRESS_H
#define REACH_HTTP_ADDRESS_H

/* address - IP addresses of peers. IPv4 is kept in its IPv6-mapped form (::ffff:a.b.c.d), so that there is one kind. */
#include <netinet/in.h>

#include "ground/base/span.h"

struct http_address {
    uint8_t b[16];
};

struct http_network {
    struct http_address address;
    unsigned prefix_bits; /* 0..128, counted in the mapped form */
};

enum { HTTP_ADDRESS_TEXT_MAX = 48 };

/* ERR_INVALID "bad_address" unless it is exactly one IPv4 or IPv6 address. */
RESULT http_address_parse(struct span text, struct http_address *ret_address);
/* Dotted for IPv4; out holds HTTP_ADDRESS_TEXT_MAX. */
void http_address_format(struct http_address a, char *out);
void http_address_from_socket(const struct sockaddr_storage *from,
                              struct http_address *ret_address);
bool http_address_is_loopback(struct http_address a);
/* "10.0.0.0/8", "fd00::/8" or a single address. ERR_INVALID "bad_network". */
RESULT http_network_parse(struct span text, struct http_network *ret_network);
bool http_network_holds(const struct http_network *n, struct http_address a);
/* The address with what one household or server can choose freely cut off: a whole IPv4, or the first 64 bits of an IPv6. */
uint64_t http_address_key(struct http_address a);

#endif
