#include "common/net/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = V6_BITS - V4_BITS };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291, 2.5.5.2 */

static void map(const void *v4, uint8_t address[16])
{
    memcpy(address, mapped_prefix, sizeof mapped_prefix);
    memcpy(address + sizeof mapped_prefix, v4, 4);
}

/* Reads one to three digits without a leading zero. Returns -1 if that is not what it is. */
static int parse_bits(const char *text)
{
    uint64_t bits;
    size_t len = strlen(text);

    if ((len > 1 && *text == '0') || !decimal_parse(text, len, V6_BITS, &bits))
        return -1;
    return (int) bits;
}

static bool bit_is_set(const uint8_t *bytes, unsigned bit)
{
    return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static bool has_host_bits(const struct cidr *block)
{
    for (unsigned bit = block->bits; bit < V6_BITS; bit++) {
        if (bit_is_set(block->address, bit))
            return true;
    }
    return false;
}

int cidr_parse(const char *text, struct cidr *block)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t) (slash - text) : strlen(text);
    struct in_addr v4;
    struct in6_addr v6;
    int most = V6_BITS, bits;

    if (len >= sizeof host)
        return UV_EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &v4) == 1) {
        map(&v4, block->address);
        most = V4_BITS;
    } else if (inet_pton(AF_INET6, host, &v6) == 1) {
        memcpy(block->address, &v6, sizeof v6);
    } else {
        return UV_EINVAL;
    }
    bits = slash != NULL ? parse_bits(slash + 1) : most;
    if (bits < 0 || bits > most)
        return UV_EINVAL;
    block->bits = (uint8_t) (most == V4_BITS ? bits + MAPPED_BITS : bits);
    return has_host_bits(block) ? UV_EINVAL : 0;
}

bool cidr_contains(const struct cidr *block, const struct sockaddr *address)
{
    uint8_t bytes[16];
    unsigned whole = block->bits / 8, rest = block->bits % 8;

    if (address->sa_family == AF_INET)
        map(&((const struct sockaddr_in *) (const void *) address)->sin_addr, bytes);
    else if (address->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr,
               sizeof bytes);
    else
        return false;
    return memcmp(bytes, block->address, whole) == 0 &&
           (rest == 0 || ((bytes[whole] ^ block->address[whole]) >> (8 - rest)) == 0);
}
