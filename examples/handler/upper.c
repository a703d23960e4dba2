/*
 * Answers each datagram with its text in capitals, without JavaScript; "?" with how many it has answered.
 *
 *   cc -O2 -shared -fPIC -I native/include -o upper.so examples/handler/upper.c
 *   createServer({ port: 2325, handler: './upper.so', handlerArgument: 'prefix: ' })
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksocket_handler.h"

struct upper {
  char prefix[64];
  uint64_t answered;
};

static int open_upper(const char* argument, void** state, char* error, size_t error_bytes) {
  struct upper* self = calloc(1, sizeof *self);
  if (self == NULL || strlen(argument) >= sizeof self->prefix) {
    snprintf(error, error_bytes, self == NULL ? "out of memory" : "the prefix is longer than 63 bytes");
    free(self);
    return -1;
  }
  strcpy(self->prefix, argument);
  *state = self;
  return 0;
}

static void count(struct upper* self, const ksocket_batch* batch, uint32_t index) {
  char text[32];
  int length = snprintf(text, sizeof text, "%" PRIu64, self->answered);
  uint8_t* to = batch->reply(batch, index, (uint32_t)length);
  if (to != NULL) memcpy(to, text, (size_t)length);
}

static void handle(void* state, const ksocket_batch* batch) {
  struct upper* self = state;
  uint32_t prefix = (uint32_t)strlen(self->prefix);
  for (uint32_t i = 0; i < batch->count; i++) {
    const ksocket_request* request = &batch->requests[i];
    if (request->length == 1 && request->data[0] == '?') {
      count(self, batch, i);
      continue;
    }
    uint8_t* to = batch->reply(batch, i, prefix + request->length);
    if (to == NULL) { /* with the prefix it is longer than a datagram */
      batch->deliver(batch, i);
      continue;
    }
    memcpy(to, self->prefix, prefix);
    for (uint32_t at = 0; at < request->length; at++) to[prefix + at] = (uint8_t)toupper(request->data[at]);
    self->answered++;
  }
}

static const ksocket_handler handler = {
    .version = KSOCKET_HANDLER_VERSION,
    .open = open_upper,
    .handle = handle,
    .close = free,
};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
