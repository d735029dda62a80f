/* Looks units up in the generated table. */
#include "units.h"

#include <stddef.h>
#include <string.h>

static const struct unit table[] = {
#include "units_table.h"
};

const struct unit *units_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
