/* A handler from the future. */
#include "ksocket_handler.h"

static void handle(void* state, const ksocket_batch* batch) {
  (void)state;
  (void)batch;
}

static const ksocket_handler handler = {.version = KSOCKET_HANDLER_VERSION + 1, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
