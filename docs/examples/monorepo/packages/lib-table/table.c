/* Aligned columns of text. */
#include "table.h"

#include "text.h"

static void pad(struct buffer *buffer, size_t count)
{
    while (count-- > 0)
        buffer_add(buffer, " ", 1);
}

void table_add(struct buffer *buffer, int columns, size_t rows, char *const *cells)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };
    if (columns > TABLE_COLUMNS_MAX)
        columns = TABLE_COLUMNS_MAX;
    for (size_t row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            size_t width = text_width(cells[row * (size_t)columns + (size_t)column]);
            if (width > widths[column])
                widths[column] = width;
        }
    for (size_t row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            const char *cell = cells[row * (size_t)columns + (size_t)column];
            size_t gap = widths[column] - text_width(cell);
            int last = column == columns - 1;
            pad(buffer, last ? gap : 0);
            buffer_print(buffer, "%s", cell);
            pad(buffer, last ? 0 : gap + 2);
        }
        buffer_add(buffer, "\n", 1);
    }
}
