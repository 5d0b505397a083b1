#include "server/net/admission.h"

#include <string.h>
#include <sys/socket.h>

#include "common/net/address.h"

bool admission_begin(struct admission *admission, struct limits *limits, int fd,
                     const struct sockaddr *client, bool (*make_room)(void *context), void *context)
{
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    const struct sockaddr *address = client != NULL ? client : (const struct sockaddr *) &own;
    bool counts = limits_count_addresses(limits);
    socklen_t len = sizeof own;
    char name[ADDRESS_NAME_SIZE];

    if (counts && client == NULL)
        (void) getpeername(fd, (struct sockaddr *) &own, &len);
    admission->limit = limits_arrive(limits, address, &admission->address);
    if (admission->limit != NULL && strcmp(admission->limit, "max-connections") == 0 &&
        make_room(context))
        admission->limit = limits_arrive(limits, address, &admission->address);
    if (admission->limit == NULL || limits_may_refuse(limits))
        return true;
    if (!counts && client == NULL)
        (void) getpeername(fd, (struct sockaddr *) &own, &len);
    limits_hit(limits, admission->limit, address_client_name(address, name, sizeof name),
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
