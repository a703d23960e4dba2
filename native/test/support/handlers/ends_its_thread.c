/* Ends the thread it is called on, and nothing else of the process, as if it had crashed. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

#include "ksocket_handler.h"

static void handle(void* state, const ksocket_batch* batch) {
  (void)state;
  (void)batch;
  syscall(SYS_exit, 0);
}

static const ksocket_handler handler = {.version = KSOCKET_HANDLER_VERSION, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
