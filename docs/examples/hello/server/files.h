/* Sends the files below one directory. */
#ifndef HELLO_FILES_H
#define HELLO_FILES_H

#include "http.h"

/* Answers a request from the directory that `root` is open on; `index.html` stands for a directory.
   Never leaves it: a part `..` and symbolic links are not followed. Returns the status that was sent. */
int files_answer(int root, int connection, const struct http_request *request);

#endif
