/* Sections [user NAME] of the configuration file: the rights of users whose credential names none,
 * such as a line of the token file without rights, or a JWT without these claims:
 *
 *     [user alice]
 *     subscribe = log-*, =
 *     publish = log-alice
 *
 * A right that is not given is none. */
#ifndef WS_SERVER_CONFIG_USER_SECTIONS_H
#define WS_SERVER_CONFIG_USER_SECTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "server/auth/principal.h"
#include "server/config/config_errors.h"

enum { USER_SECTIONS_MAX = 10000 };

struct user_section {
    const char *name; /* strings are those of the file */
    size_t line;
    const char *rights[PRINCIPAL_RIGHTS]; /* as they stand there; NULL: not given */
    size_t lines[PRINCIPAL_RIGHTS];
};

struct user_sections {
    struct user_section *list;
    struct principal **principals; /* one for each */
    size_t count;
};

/* A section begins. What is wrong is told; then its settings are checked all the same. */
void user_sections_begin(struct user_sections *sections, const char *name, size_t line,
                         const struct config_errors *errors);

/* A setting of the section that has begun last. */
void user_sections_add(struct user_sections *sections, const char *name, const char *value,
                       size_t line, const struct config_errors *errors);

void user_sections_deinit(struct user_sections *sections);

#endif
