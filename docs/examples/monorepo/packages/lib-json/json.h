#ifndef JSON_H
#define JSON_H

#include "buffer.h"

/* Writes JSON piece by piece; commas come by themselves. */
struct json {
    struct buffer *out;
    int wants_comma;
};

/* Opens with '{' or '['; closes with '}' or ']'. */
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);

/* Writes a name and its colon. */
void json_name(struct json *json, const char *name);

/* Writes a string. */
void json_text(struct json *json, const char *text);

/* Writes a whole number. */
void json_number(struct json *json, long long number);

#endif
