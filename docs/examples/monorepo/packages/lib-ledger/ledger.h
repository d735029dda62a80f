#ifndef LEDGER_H
#define LEDGER_H

#include "buffer.h"
#include "money.h"

#define LEDGER_ENTRIES_MAX 256

/* One line of a ledger: `item, quantity, unit, price`, the price for one base unit. */
struct entry {
    char *item;
    const char *base;
    long quantity;
    money price, total;
};

/* A whole ledger; its texts live in the buffer it was read from. */
struct ledger {
    struct entry entries[LEDGER_ENTRIES_MAX];
    size_t count;
    money total;
    char error[160];
};

/* Reads a ledger from CSV text, which it changes. Returns 0, or -1 with `error` set. */
int ledger_parse(struct ledger *ledger, struct buffer *text);

#endif
