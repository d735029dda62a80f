#ifndef TEXT_H
#define TEXT_H

#include "buffer.h"

/* Cuts blanks at both ends, in place. Returns the start. */
char *text_trim(char *text);

/* Appends `text` with the characters that HTML reserves escaped. */
void text_add_html(struct buffer *buffer, const char *text);

/* Appends `text` as a quoted JSON string. */
void text_add_json(struct buffer *buffer, const char *text);

/* Returns how many characters (not bytes) a UTF-8 text has. */
size_t text_width(const char *text);

#endif
