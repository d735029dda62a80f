#ifndef TABLE_H
#define TABLE_H

#include "buffer.h"

#define TABLE_COLUMNS_MAX 8

/* Appends rows of `columns` cells each, every column as wide as its widest cell; the last one is flush right. */
void table_add(struct buffer *buffer, int columns, size_t rows, char *const *cells);

#endif
