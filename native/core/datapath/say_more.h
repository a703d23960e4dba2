// What is said beside a datagram to send, whatever kind of socket it leaves by.
#pragma once

#include "core/control/control.h"
#include "core/socket/family.h"
#include "core/socket/rights.h"

namespace ksocket {

// As append_more(), into msg_control; of a local socket descriptors, which lie elsewhere.
inline void say_more(msghdr* header, uint8_t family, const Descriptor& datagram,
                     std::span<const Source> sources) {
  if (family != kLocal) return append_more(header, family, datagram, sources);
  std::span<uint8_t> rights = Rights::of_process().message(datagram.send_id);
  header->msg_control = rights.data();
  header->msg_controllen = rights.size();
}

}  // namespace ksocket
