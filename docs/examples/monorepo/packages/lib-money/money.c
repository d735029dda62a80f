/* Amounts with two decimals, without floating point. */
#include "money.h"

#include <ctype.h>

int money_parse(const char *text, money *amount)
{
    int negative = *text == '-';
    const char *at = text + negative;
    long long value = 0;
    int digits = 0, decimals = 0;
    for (; isdigit((unsigned char)*at); at++, digits++)
        value = value * 10 + (*at - '0');
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at) && decimals < 2; at++, decimals++)
            value = value * 10 + (*at - '0');
    if (digits == 0 || digits > 12 || *at != '\0')
        return -1;
    for (; decimals < 2; decimals++)
        value *= 10;
    *amount = negative ? -value : value;
    return 0;
}

void money_add(struct buffer *buffer, money amount)
{
    long long size = amount < 0 ? -amount : amount;
    buffer_print(buffer, "%s%lld.%02lld", amount < 0 ? "-" : "", size / 100, size % 100);
}
