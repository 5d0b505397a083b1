#include "server/net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"

enum {
    V1_MOST = 107, /* bytes of a version 1 line with its CRLF */
    V2_FIXED = 16,
    V2_V4_LEN = 12, /* two addresses and two ports */
    V2_V6_LEN = 36,
    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    FAMILY_V4 = 1,
    FAMILY_V6 = 2,
    FAMILY_MOST = 3, /* Unix */
    TRANSPORT_STREAM = 1,
    TRANSPORT_MOST = 2, /* datagrams */
};

static const uint8_t v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_signature[] = "PROXY ";

void proxy_protocol_init(struct proxy_protocol *header)
{
    memset(header, 0, sizeof *header);
}

static bool is_v2(const struct proxy_protocol *header)
{
    return header->_seen > 0 && header->_kept[0] == v2_signature[0];
}

/* Bytes of the whole version 2 header, once its fixed part is there. */
static uint32_t v2_len(const struct proxy_protocol *header)
{
    return V2_FIXED + ((uint32_t) header->_kept[14] << 8 | header->_kept[15]);
}

size_t proxy_protocol_wants(const struct proxy_protocol *header)
{
    if (!is_v2(header))
        return 1; /* a line: its end is where the CRLF is */
    return (header->_seen < V2_FIXED ? V2_FIXED : v2_len(header)) - header->_seen;
}

/* ---- version 1: a line of text ---- */

/* The next word of the line, without the space that ends it; NULL if there is none, or an empty
 * one. */
static char *next_word(char **line)
{
    char *word = *line, *end;

    if (word == NULL || *word == '\0' || *word == ' ')
        return NULL;
    end = strchr(word, ' ');
    if (end != NULL)
        *end++ = '\0';
    *line = end;
    return word;
}

/* A port as the protocol writes it: decimal, 0 to 65535, no leading zero. -1 if it is none. */
static long parse_port(const char *word)
{
    uint64_t port;
    size_t len = strlen(word);

    if ((len > 1 && *word == '0') || !decimal_parse(word, len, UINT16_MAX, &port))
        return -1;
    return (long) port;
}

static bool set_address(struct proxy_protocol_client *client, const char *text, int family,
                        uint16_t port)
{
    struct sockaddr *address = (struct sockaddr *) &client->address;

    memset(&client->address, 0, sizeof client->address);
    if (family == AF_INET)
        return uv_ip4_addr(text, port, (struct sockaddr_in *) (void *) address) == 0;
    return strchr(text, '%') == NULL &&
           uv_ip6_addr(text, port, (struct sockaddr_in6 *) (void *) address) == 0;
}

static enum proxy_protocol_step parse_v1(struct proxy_protocol *header,
                                         struct proxy_protocol_client *client)
{
    char *line = (char *) header->_kept + sizeof v1_signature - 1;
    char *family, *source, *destination, *source_port, *destination_port;
    struct proxy_protocol_client other;
    int af;

    header->_kept[header->_seen - 2] = '\0'; /* in place of the CR */
    if (strlen(line) != header->_seen - 2 - (sizeof v1_signature - 1))
        return PROXY_PROTOCOL_BAD; /* it has a NUL */
    family = next_word(&line);
    if (family == NULL)
        return PROXY_PROTOCOL_BAD;
    client->known = strcmp(family, "UNKNOWN") != 0;
    if (!client->known)
        return PROXY_PROTOCOL_DONE; /* "the receiver must ignore anything presented before CRLF" */
    source = next_word(&line);
    destination = next_word(&line);
    source_port = next_word(&line);
    destination_port = next_word(&line);
    if ((strcmp(family, "TCP4") != 0 && strcmp(family, "TCP6") != 0) || destination_port == NULL ||
        line != NULL || parse_port(source_port) < 0 || parse_port(destination_port) < 0)
        return PROXY_PROTOCOL_BAD;
    af = strcmp(family, "TCP4") == 0 ? AF_INET : AF_INET6;
    return set_address(&other, destination, af, 0) &&
                   set_address(client, source, af, (uint16_t) parse_port(source_port))
               ? PROXY_PROTOCOL_DONE
               : PROXY_PROTOCOL_BAD;
}

static enum proxy_protocol_step feed_v1(struct proxy_protocol *header, uint8_t byte,
                                        struct proxy_protocol_client *client)
{
    uint32_t at = header->_seen;

    if (at >= V1_MOST || (at < sizeof v1_signature - 1 && byte != (uint8_t) v1_signature[at]))
        return PROXY_PROTOCOL_BAD;
    header->_kept[header->_seen++] = byte;
    if (byte != '\n')
        return PROXY_PROTOCOL_MORE;
    return header->_kept[at - 1] == '\r' ? parse_v1(header, client) : PROXY_PROTOCOL_BAD;
}

/* ---- version 2: binary ---- */

/* The first 16 bytes are sound as far as they are there. */
static bool v2_fixed_valid(const struct proxy_protocol *header)
{
    uint8_t command = header->_kept[12] & 0x0f;
    uint8_t family = header->_kept[13] >> 4, transport = header->_kept[13] & 0x0f;

    if (memcmp(header->_kept, v2_signature,
               header->_seen < sizeof v2_signature ? header->_seen : sizeof v2_signature) != 0)
        return false;
    if (header->_seen <= sizeof v2_signature)
        return true;
    if (header->_kept[12] >> 4 != 2 || command > COMMAND_PROXY)
        return false;
    if (header->_seen > 13 && (family > FAMILY_MOST || transport > TRANSPORT_MOST))
        return false;
    if (header->_seen < V2_FIXED || command == COMMAND_LOCAL)
        return true;
    return v2_len(header) - V2_FIXED >= (family == FAMILY_V4   ? V2_V4_LEN
                                         : family == FAMILY_V6 ? V2_V6_LEN
                                                               : 0);
}

static void finish_v2(const struct proxy_protocol *header, struct proxy_protocol_client *client)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *) (void *) &client->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) (void *) &client->address;
    const uint8_t *addresses = header->_kept + V2_FIXED;
    uint8_t family = header->_kept[13] >> 4;

    memset(&client->address, 0, sizeof client->address);
    client->known = (header->_kept[12] & 0x0f) == COMMAND_PROXY &&
                    (header->_kept[13] & 0x0f) == TRANSPORT_STREAM &&
                    (family == FAMILY_V4 || family == FAMILY_V6);
    if (!client->known)
        return;
    if (family == FAMILY_V4) {
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, addresses, 4);
        memcpy(&v4->sin_port, addresses + 8, 2);
    } else {
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, addresses, 16);
        memcpy(&v6->sin6_port, addresses + 32, 2);
    }
}

/* Takes as many of the bytes as the next part of the header has: its fixed part, then the rest. */
static enum proxy_protocol_step feed_v2(struct proxy_protocol *header, const uint8_t *data,
                                        size_t len, size_t *used,
                                        struct proxy_protocol_client *client)
{
    uint32_t end = header->_seen < V2_FIXED ? V2_FIXED : v2_len(header);
    size_t more = len < end - header->_seen ? len : end - header->_seen;
    size_t room = header->_seen < PROXY_PROTOCOL_KEPT ? PROXY_PROTOCOL_KEPT - header->_seen : 0;

    memcpy(header->_kept + (header->_seen < PROXY_PROTOCOL_KEPT ? header->_seen : 0), data,
           more < room ? more : room);
    header->_seen += (uint32_t) more;
    *used += more;
    if (header->_seen <= V2_FIXED && !v2_fixed_valid(header))
        return PROXY_PROTOCOL_BAD;
    if (header->_seen < V2_FIXED || header->_seen < v2_len(header))
        return PROXY_PROTOCOL_MORE;
    finish_v2(header, client);
    return PROXY_PROTOCOL_DONE;
}

enum proxy_protocol_step proxy_protocol_feed(struct proxy_protocol *header, const uint8_t *data,
                                             size_t len, size_t *used,
                                             struct proxy_protocol_client *client)
{
    enum proxy_protocol_step step = PROXY_PROTOCOL_MORE;

    *used = 0;
    while (step == PROXY_PROTOCOL_MORE && *used < len) {
        if (is_v2(header) || (header->_seen == 0 && *data == v2_signature[0]))
            step = feed_v2(header, data + *used, len - *used, used, client);
        else
            step = feed_v1(header, data[(*used)++], client);
    }
    return step;
}
