/* HTTP/1.1, as much of it as a static page needs: one GET or HEAD per connection. */
#ifndef HELLO_HTTP_H
#define HELLO_HTTP_H

#include <stddef.h>

#define HTTP_PATH_MAX 1024

enum http_method { HTTP_GET, HTTP_HEAD };

struct http_request {
    enum http_method method;
    char path[HTTP_PATH_MAX]; /* decoded, starts with '/', without query */
};

/* Parses the head of a request. Returns 0, or the status to answer with: 400, 405 or 414. */
int http_parse(const char *head, size_t length, struct http_request *request);

/* Reads up to the empty line that ends a request's head. Returns its length, or -1 when it is cut, late or too long. */
long http_read_head(int connection, char *buffer, size_t size);

/* Sends a status line and headers; `length` is the size of the body that follows. Returns 0, or -1. */
int http_send_head(int connection, int status, const char *type, size_t length);

/* Sends all bytes. Returns 0, or -1. */
int http_send(int connection, const char *bytes, size_t length);

/* Sends a whole answer with a body of plain text. Returns 0, or -1. */
int http_send_text(int connection, const struct http_request *request, int status, const char *text);

#endif
