/* Reads a ledger and adds it up. */
#include "ledger.h"

#include "csv.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>

static int complain(struct ledger *ledger, int line, const char *what, const char *value)
{
    snprintf(ledger->error, sizeof ledger->error, "line %d: %s `%s`", line, what, value);
    return -1;
}

static int add_row(void *context, int line, int count, char **fields)
{
    struct ledger *ledger = context;
    if (count != 4)
        return complain(ledger, line, "expected item, quantity, unit, price after", fields[0]);
    if (ledger->count == LEDGER_ENTRIES_MAX)
        return complain(ledger, line, "one entry too many:", fields[0]);
    char *end;
    long quantity = strtol(fields[1], &end, 10);
    if (*end != '\0' || end == fields[1] || quantity < 0 || quantity > 1000000)
        return complain(ledger, line, "bad quantity", fields[1]);
    const struct unit *unit = units_find(fields[2]);
    if (unit == NULL)
        return complain(ledger, line, "unknown unit", fields[2]);
    struct entry *entry = &ledger->entries[ledger->count];
    if (money_parse(fields[3], &entry->price) != 0)
        return complain(ledger, line, "bad price", fields[3]);
    entry->item = fields[0];
    entry->base = unit->base;
    entry->quantity = quantity * unit->factor;
    entry->total = entry->price * entry->quantity;
    ledger->total += entry->total;
    ledger->count++;
    return 0;
}

int ledger_parse(struct ledger *ledger, struct buffer *text)
{
    ledger->count = 0;
    ledger->total = 0;
    return csv_each(text->text, add_row, ledger);
}
