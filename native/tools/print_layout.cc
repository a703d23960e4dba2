// Prints lib/backend/layout.ts. `npm run generate` writes it, a test compares.
#include <cctype>
#include <cstdio>
#include <string>

#include "core/contract/layout_fields.h"

using namespace ksocket;

namespace {

// rx_kernel_drops → rxKernelDrops, kOpenGro → OPEN_GRO, ttl → TTL
std::string camel(const char* snake) {
  std::string out;
  for (; *snake != '\0'; snake++) {
    if (*snake == '_' && snake[1] != '\0') {
      out += static_cast<char>(std::toupper(*++snake));
    } else {
      out += *snake;
    }
  }
  return out;
}
std::string upper(const char* name) {
  std::string out;
  if (*name == 'k' && std::isupper(name[1])) name++;
  for (; *name != '\0'; name++) {
    if (std::isupper(*name) && !out.empty()) out += '_';
    out += static_cast<char>(std::toupper(*name));
  }
  return out;
}

}  // namespace

int main() {
  std::printf(
      "// Generated from native/core/contract/layout_fields.h by `npm run generate`. Do not edit.\n"
      "// Names that start with D_ and C_ are byte offsets in a descriptor and in the ring's control "
      "block.\n\n");
#define X(name, value) std::printf("export const " #name " = %lld;\n", static_cast<long long>(value));
  KSOCKET_LAYOUT(X)
#undef X
  std::printf("export const LAYOUT_HASH = %u;\n", kLayoutHash);

  std::printf("\n// What the kernel said beside a received datagram.\n");
#define X(name, ...) \
  std::printf("export const D_%s = %zu;\n", upper(#name).c_str(), offsetof(Descriptor, name));
  KSOCKET_METADATA_KINDS(X)
#undef X

  std::printf("\n// What IoThread.open is asked for.\n");
#define X(name, value) std::printf("export const %s = %d;\n", upper(#name).c_str(), static_cast<int>(value));
  KSOCKET_OPEN_FLAGS(X)
#undef X

  std::printf("\n// Rows of the native table of socket options.\nexport const SocketOption = {\n");
#define X(name, ...) \
  std::printf("  %s: %u,\n", camel(#name).c_str(), static_cast<unsigned>(SocketOption::name));
  KSOCKET_OPTIONS(X)
#undef X
  std::printf("} as const;\n");

#define X(name, doc)                 \
  std::printf("  /** %s */\n", doc); \
  std::printf("  %s: %u,\n", camel(#name).c_str(), static_cast<unsigned>(Counter::name));
  std::printf("\n// Where each counter stands in its row.\nexport const counterIndex = {\n");
  KSOCKET_RX_COUNTERS(X)
  KSOCKET_TX_COUNTERS(X)
  std::printf("} as const;\n\n// Of a server that answers by rules, in the same row.\n");
  std::printf("export const serverCounterIndex = {\n");
  KSOCKET_SERVER_COUNTERS(X)
  KSOCKET_IN_KERNEL_COUNTERS(X)
  std::printf("} as const;\n\n// In the thread's own row.\nexport const threadCounterIndex = {\n");
  KSOCKET_THREAD_COUNTERS(X)
  std::printf("} as const;\n");
#undef X
#define X(name, doc)                 \
  std::printf("  /** %s */\n", doc); \
  std::printf("  %s: %u,\n", camel(#name).c_str(), static_cast<unsigned>(TunnelCounter::name));
  std::printf("\n// In the row of a tunnel.\nexport const tunnelCounterIndex = {\n");
  KSOCKET_TUNNEL_COUNTERS(X)
  std::printf("} as const;\n\n// In the same row.\nexport const tunnelGaugeIndex = {\n");
  KSOCKET_TUNNEL_GAUGES(X)
  std::printf("} as const;\n");
#undef X
  return 0;
}
