#ifndef MONEY_H
#define MONEY_H

#include "buffer.h"

/* An amount in hundredths. */
typedef long long money;

/* Reads `12`, `12.5` or `-3.20`. Returns 0, or -1. */
int money_parse(const char *text, money *amount);

/* Appends an amount with two decimals. */
void money_add(struct buffer *buffer, money amount);

#endif
