/* Growing text. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct buffer *buffer, size_t more)
{
    size_t wanted = buffer->length + more + 1;
    if (wanted <= buffer->room)
        return;
    while (buffer->room < wanted)
        buffer->room = buffer->room * 2 + 64;
    buffer->text = realloc(buffer->text, buffer->room);
    if (buffer->text == NULL) {
        fputs("out of memory\n", stderr);
        exit(70);
    }
}

void buffer_start(struct buffer *buffer)
{
    *buffer = (struct buffer){ 0 };
    reserve(buffer, 0);
    buffer->text[0] = '\0';
}

void buffer_add(struct buffer *buffer, const char *bytes, size_t length)
{
    reserve(buffer, length);
    memcpy(buffer->text + buffer->length, bytes, length);
    buffer->length += length;
    buffer->text[buffer->length] = '\0';
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(buffer, (size_t)length);
    va_start(arguments, format);
    vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
}

int buffer_read(struct buffer *buffer, const char *path)
{
    char chunk[4096];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_add(buffer, chunk, got);
    int failed = ferror(file);
    fclose(file);
    return failed ? -1 : 0;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->text);
    *buffer = (struct buffer){ 0 };
}
