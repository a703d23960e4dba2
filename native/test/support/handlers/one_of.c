/* Answers with the request, in as many instances at a time as its argument says; the next one is refused, and
 * takes its time for it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksocket_handler.h"

static int instances;

static int open_one(const char* argument, void** state, char* error, size_t error_bytes) {
  (void)state;
  if (__atomic_add_fetch(&instances, 1, __ATOMIC_SEQ_CST) <= atoi(argument)) return 0;
  __atomic_sub_fetch(&instances, 1, __ATOMIC_SEQ_CST);
  usleep(100000);
  strncpy(error, "one too many", error_bytes);
  return 1;
}

static void close_one(void* state) {
  (void)state;
  __atomic_sub_fetch(&instances, 1, __ATOMIC_SEQ_CST);
}

static void handle(void* state, const ksocket_batch* batch) {
  (void)state;
  for (uint32_t i = 0; i < batch->count; i++) {
    const ksocket_request* request = &batch->requests[i];
    uint8_t* to = batch->reply(batch, i, request->length);
    if (to != NULL) memcpy(to, request->data, request->length);
  }
}

static const ksocket_handler handler = {
    .version = KSOCKET_HANDLER_VERSION, .open = open_one, .close = close_one, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
