#include "core/answer/protection/loop_guard.h"

#include <algorithm>
#include <utility>

namespace ksocket {

namespace {

constexpr uint32_t kIpv4Broadcast = UINT32_MAX;

// RFC 1112 section 4, RFC 4291 section 2.7, and the limited broadcast of RFC 919. What is a subnet's
// broadcast address only the routing table knows: the kernel refuses to send there (EACCES).
bool is_many(const Address& address) {
  std::optional<uint32_t> ipv4 = ipv4_number(address);
  if (ipv4) return *ipv4 >> 28 == 0xe || *ipv4 == kIpv4Broadcast;
  return address.bytes[0] == 0xff;
}

}  // namespace

bool listens_on(const Address& own, const Address& other, LocalAddresses& local, uint64_t now_ns) {
  if (other.port != own.port) return false;
  bool ipv4 = ipv4_number(other).has_value();
  if (is_unspecified(own)) {
    // 0.0.0.0 as a destination is this machine (RFC 1122, section 3.2.1.3, and ip_route_output_key). A socket
    // bound to :: gets IPv4, too.
    return (own.family == 6 || ipv4) && (is_unspecified(other) || local.contains(other, now_ns));
  }
  Ipv6Number loopback = ipv4 ? Ipv6Number{0, kMappedFirst.low | INADDR_LOOPBACK} : Ipv6Number{0, 1};
  return host_number(own) == (is_unspecified(other) ? loopback : host_number(other));
}

LoopGuard::LoopGuard(Options options, Counters counters) : options_(std::move(options)), counters_(counters) {
  if (options_.repeats) exchanges_.emplace(*options_.repeats, random_seed());
}

FlowRepeats* LoopGuard::flow_repeats() {
  if (!options_.repeats) return nullptr;
  if (!flow_repeats_) flow_repeats_.emplace(*options_.repeats);
  return &*flow_repeats_;
}

bool LoopGuard::is_answerable(const Address& source) {
  return source.port != 0 && !is_unspecified(source) && !is_many(source) &&
         !listens_on(options_.own, source, local_, now_ns_) && !has_own(source);
}

bool LoopGuard::is_service(const Address& source) const {
  const auto& ports = options_.service_ports;
  return std::find(ports.begin(), ports.end(), source.port) != ports.end();
}

bool LoopGuard::admits(const Address& source, std::span<const uint8_t> payload, uint32_t count, Kind kind) {
  if (!(source == latest_)) {
    latest_ = source;
    answerable_ = is_answerable(source);
    service_ = is_service(source);
    exchange_ = exchanges_ ? &exchanges_->find(source, now_ns_) : nullptr;
  }
  bool refused = !answerable_ || (service_ && (kind == Kind::echo || !options_.services_get_replies));
  if (kind != Kind::elsewhere && refused) {
    counters_.add(Counter::loop_sources, count);
    return false;
  }
  if (exchange_ == nullptr || exchanges_->admits(*exchange_, payload, count, now_ns_)) return true;
  counters_.add(Counter::loop_repeats, count);
  return false;
}

}  // namespace ksocket
