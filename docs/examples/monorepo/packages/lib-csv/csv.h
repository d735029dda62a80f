#ifndef CSV_H
#define CSV_H

#include <stddef.h>

#define CSV_FIELDS_MAX 16

/* Splits one line at commas, in place; blanks around a field go. Returns how many fields, or -1 for too many. */
int csv_split(char *line, char *fields[CSV_FIELDS_MAX]);

/* Calls `row` for each line that is neither empty nor starts with '#'. Stops at the first result that is not 0 and
   returns it; `line` counts from 1. */
int csv_each(char *text, int (*row)(void *context, int line, int count, char **fields), void *context);

#endif
