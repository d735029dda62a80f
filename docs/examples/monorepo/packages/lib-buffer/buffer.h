#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>

/* Growing text, always ended by a zero byte. */
struct buffer {
    char *text;
    size_t length, room;
};

/* Makes an empty buffer. */
void buffer_start(struct buffer *buffer);

/* Appends bytes. */
void buffer_add(struct buffer *buffer, const char *bytes, size_t length);

/* Appends text as printf writes it. */
void buffer_print(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends all that is left to read from a file. Returns 0, or -1. */
int buffer_read(struct buffer *buffer, const char *path);

/* Gives the memory back. */
void buffer_free(struct buffer *buffer);

#endif
