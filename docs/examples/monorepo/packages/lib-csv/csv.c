/* Reads comma separated lines. */
#include "csv.h"

#include "text.h"

#include <string.h>

int csv_split(char *line, char *fields[CSV_FIELDS_MAX])
{
    int count = 0;
    char *rest = line;
    while (rest != NULL) {
        if (count == CSV_FIELDS_MAX)
            return -1;
        char *field = strsep(&rest, ",");
        fields[count++] = text_trim(field);
    }
    return count;
}

int csv_each(char *text, int (*row)(void *context, int line, int count, char **fields), void *context)
{
    char *fields[CSV_FIELDS_MAX];
    int number = 0;
    char *rest = text;
    while (rest != NULL) {
        char *line = text_trim(strsep(&rest, "\n"));
        number++;
        if (*line == '\0' || *line == '#')
            continue;
        int count = csv_split(line, fields);
        int result = row(context, number, count, fields);
        if (result != 0)
            return result;
    }
    return 0;
}
