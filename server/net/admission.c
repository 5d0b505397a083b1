#include "server/net/admission.h"

#include <string.h>
#include <sys/socket.h>

#include "common/net/address.h"

bool admission_begin(struct admission *admission, struct limits *limits, int fd,
                     bool (*make_room)(void *context), void *context)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    const struct sockaddr *peer = (const struct sockaddr *) &address;
    socklen_t len = sizeof address;
    char name[ADDRESS_NAME_SIZE];

    if (limits_count_addresses(limits))
        (void) getpeername(fd, (struct sockaddr *) &address, &len);
    admission->limit = limits_arrive(limits, peer, &admission->address);
    if (admission->limit != NULL && strcmp(admission->limit, "max-connections") == 0 &&
        make_room(context))
        admission->limit = limits_arrive(limits, peer, &admission->address);
    if (admission->limit == NULL || limits_may_refuse(limits))
        return true;
    if (!limits_count_addresses(limits))
        (void) getpeername(fd, (struct sockaddr *) &address, &len);
    limits_hit(limits, admission->limit, address_client_name(peer, name, sizeof name),
               "closed at once");
    return false;
}

void admission_end(const struct admission *admission, struct limits *limits)
{
    if (admission->limit == NULL)
        limits_depart(limits, admission->address);
    else
        limits_refused(limits);
}
