/* Trims, measures and escapes text. */
#include "text.h"

#include <string.h>

char *text_trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

void text_add_html(struct buffer *buffer, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': buffer_add(buffer, "&amp;", 5); break;
        case '<': buffer_add(buffer, "&lt;", 4); break;
        case '>': buffer_add(buffer, "&gt;", 4); break;
        case '"': buffer_add(buffer, "&quot;", 6); break;
        default: buffer_add(buffer, text, 1);
        }
}

void text_add_json(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, "\"", 1);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            buffer_print(buffer, "\\%c", c);
        else if (c < 0x20)
            buffer_print(buffer, "\\u%04x", c);
        else
            buffer_add(buffer, text, 1);
    }
    buffer_add(buffer, "\"", 1);
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
