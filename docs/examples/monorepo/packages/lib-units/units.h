#ifndef UNITS_H
#define UNITS_H

/* One unit: a name, the base unit it is a multiple of, and how many of it. */
struct unit {
    const char *name, *base;
    long factor;
};

/* Returns the unit of that name, or NULL. */
const struct unit *units_find(const char *name);

#endif
