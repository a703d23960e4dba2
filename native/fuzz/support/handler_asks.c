/* A handler whose argument is the address of a function that answers in its place: the fuzzer's. */
#include <stdio.h>

#include "ksocket_handler.h"

typedef void answer_function(const ksocket_batch* batch);

struct asked {
  answer_function* answer;
};
static struct asked asked;

static int open_handler(const char* argument, void** state, char* error, size_t error_bytes) {
  void* address = NULL;
  if (sscanf(argument, "%p", &address) != 1) {
    snprintf(error, error_bytes, "no address: %s", argument);
    return 1;
  }
  asked.answer = (answer_function*)address;
  *state = &asked;
  return 0;
}

static void handle(void* state, const ksocket_batch* batch) {
  ((struct asked*)state)->answer(batch);
}

static const ksocket_handler handler = {
    .version = KSOCKET_HANDLER_VERSION, .open = open_handler, .handle = handle};

const ksocket_handler* ksocket_get_handler(void) {
  return &handler;
}
