/* Refuses to open with as much text as there is room for, and does not end it. */
#include <string.h>

#include "ksocket_handler.h"

static int open_not(const char* argument, void** state, char* error, size_t error_bytes) {
  (void)argument;
  (void)state;
  memset(error, 'x', error_bytes);
  return 1;
}

static void handle(void* state, const ksocket_batch* batch) {
  (void)state;
  (void)batch;
}

static const ksocket_handler handler = {
    .version = KSOCKET_HANDLER_VERSION, .open = open_not, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
