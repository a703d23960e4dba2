/*
 * A server's answers in C: build a shared object that exports ksocket_get_handler() and give its path to
 * createServer({ handler: './answer.so' }). The server's thread calls it with each batch of datagrams;
 * nothing of JavaScript is involved, and nothing is allocated for a datagram.
 *
 *   cc -O2 -shared -fPIC -I node_modules/ksocket/native/include -o answer.so answer.c
 *
 * The layout of these structures does not change within a version. What a later version adds comes with a new
 * number; a handler of a version that the server does not know is refused with an error when the server
 * starts.
 */
#ifndef KSOCKET_HANDLER_H
#define KSOCKET_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KSOCKET_HANDLER_VERSION 1

/* An IPv4 or IPv6 address with its port. */
typedef struct ksocket_address {
  uint8_t bytes[16]; /* network byte order; IPv4 uses the first four, the others are 0 */
  uint32_t scope_id; /* IPv6 zone, an interface index, or 0 */
  uint16_t port;     /* host byte order */
  uint8_t family;    /* 4 or 6 */
  uint8_t reserved;
} ksocket_address;

/* A datagram that came in. Valid until handle() returns. */
typedef struct ksocket_request {
  const uint8_t* data;
  uint32_t length; /* 0 to 65507 */
  uint32_t reserved;
  ksocket_address source;
} ksocket_request;

/* What handle() gets: `count` datagrams of one socket, at most 4096, in the order in which they came. */
typedef struct ksocket_batch {
  uint32_t count;
  uint16_t local_port; /* of the server, host byte order */
  uint16_t reserved;
  uint64_t time_ns; /* when the batch was received, Unix time */
  const ksocket_request* requests;

  /* Room for a reply of `length` bytes to the source of requests[index], to be filled in before the next call
   * of reply() and before handle() returns. Any number of replies to a request, in any order. NULL: `index`
   * or `length` (at most 65507) is out of range. */
  uint8_t* (*reply)(const struct ksocket_batch* batch, uint32_t index, uint32_t length);
  /* Hands requests[index] to JavaScript, where there is a 'datagram' listener. */
  void (*deliver)(const struct ksocket_batch* batch, uint32_t index);
} ksocket_batch;

typedef struct ksocket_handler {
  uint32_t version; /* KSOCKET_HANDLER_VERSION */
  uint32_t reserved;

  /* When the server starts, on the JavaScript thread, once for each of its shards; may be NULL. `argument` is
   * the server's `handlerArgument`, "" without one. 0: *state is passed to the others; anything else refuses
   * the start, with the text in `error`. */
  int (*open)(const char* argument, void** state, char* error, size_t error_bytes);
  /* On the server's thread, never by two threads at once; with shards the thread of each calls it with the
   * state of its own, at the same time as the others. Should not block: nothing is received meanwhile. */
  void (*handle)(void* state, const ksocket_batch* batch);
  /* When the server has stopped, after the last handle(); may be NULL. */
  void (*close)(void* state);
} ksocket_handler;

/* What the shared object exports. The result stays valid until it is unloaded. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const ksocket_handler*
ksocket_get_handler(void);

#ifdef __cplusplus
}
#endif
#endif
