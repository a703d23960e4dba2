/*
 * Does what a datagram tells it to: "2 text" answers twice, "big N" asks for a reply of N bytes, "js" hands
 * it on, "none" says nothing, "wild" answers requests that do not exist.
 */
#include <stdlib.h>
#include <string.h>

#include "ksocket_handler.h"

static void say(const ksocket_batch* batch, uint32_t index, const uint8_t* data, uint32_t length) {
  uint8_t* to = batch->reply(batch, index, length);
  if (to != NULL) memcpy(to, data, length);
}

static void handle(void* state, const ksocket_batch* batch) {
  (void)state;
  for (uint32_t i = 0; i < batch->count; i++) {
    const ksocket_request* request = &batch->requests[i];
    const uint8_t* data = request->data;
    uint32_t length = request->length;
    if (length >= 2 && memcmp(data, "2 ", 2) == 0) {
      say(batch, i, data + 2, length - 2);
      say(batch, i, data + 2, length - 2);
    } else if (length >= 4 && memcmp(data, "big ", 4) == 0) {
      char number[16] = {0};
      memcpy(number, data + 4, length - 4 < 15 ? length - 4 : 15);
      uint32_t bytes = (uint32_t)strtoul(number, NULL, 10);
      uint8_t* to = batch->reply(batch, i, bytes);
      if (to != NULL)
        memset(to, '!', bytes);
      else
        say(batch, i, (const uint8_t*)"refused", 7);
    } else if (length == 2 && memcmp(data, "js", 2) == 0) {
      batch->deliver(batch, i);
    } else if (length == 4 && memcmp(data, "wild", 4) == 0) {
      batch->deliver(batch, batch->count);
      if (batch->reply(batch, batch->count, 1) == NULL) say(batch, i, (const uint8_t*)"tame", 4);
    } else if (length != 4 || memcmp(data, "none", 4) != 0) {
      say(batch, i, data, length);
    }
  }
}

static const ksocket_handler handler = {.version = KSOCKET_HANDLER_VERSION, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
