#include "common/net/tcp_acked.h"

#include <linux/tcp.h>
#include <sys/socket.h>

enum { PROTOCOL_TCP = 6 }; /* IPPROTO_TCP */

bool tcp_acked(int fd, uint64_t *bytes)
{
    struct tcp_info info = {.tcpi_bytes_acked = 0};
    socklen_t len = sizeof info;

    if (getsockopt(fd, PROTOCOL_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    *bytes = info.tcpi_bytes_acked;
    return true;
}
