// Whom a server does not answer at all: nobody, everybody, itself by any of its names, and services that
// answer by themselves.
#include <algorithm>
#include <vector>

#include "core/answer/protection/loop_guard.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/world.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket::fuzz {

namespace {

// As text, in the form that inet_ntop(3) gives it.
const char* const kHosts[] = {"0.0.0.0",   "10.0.0.1",         "127.0.0.1",       "127.9.9.9",
                              "224.0.0.1", "239.1.1.1",        "255.255.255.255", "::",
                              "::1",       "2001:db8::1",      "ff02::1",         "::ffff:10.0.0.1",
                              "fe80::1",   "::ffff:127.0.0.1", "::ffff:0.0.0.0"};
const uint16_t kPorts[] = {0, 7, 19, 2325, 4000};

Address some_address(Random& in) {
  static const std::vector<Address> hosts = [] {
    std::vector<Address> out;
    for (const char* host : kHosts) out.push_back(test::address_of(host, 0));
    return out;
  }();
  Address out = hosts[in.below(std::size(kHosts))];
  out.port = kPorts[in.below(std::size(kPorts))];
  if (in.one_in(6)) out.bytes[in.below(out.family == 4 ? 4 : 16)] ^= static_cast<uint8_t>(1 << in.below(8));
  return out;
}

// An IPv4 address as its four bytes, IPv6 as sixteen; IPv4-mapped is IPv4.
std::vector<uint8_t> host_of(const Address& address) {
  std::vector<uint8_t> out(address.bytes, address.bytes + (address.family == 4 ? 4 : 16));
  bool mapped = out.size() == 16 && out[10] == 0xff && out[11] == 0xff;
  for (size_t i = 0; i < 10; i++) mapped = mapped && out[i] == 0;
  if (mapped) out.erase(out.begin(), out.begin() + 12);
  return out;
}
bool is_zero(const std::vector<uint8_t>& host) {
  return host == std::vector<uint8_t>(host.size());
}
bool is_loopback(const std::vector<uint8_t>& host) {
  if (host.size() == 4) return host[0] == 127;
  return is_zero({host.begin(), host.end() - 1}) && host.back() == 1;
}

struct Model {
  LoopGuard::Options options;
  std::vector<Address> others;

  bool is_own(const Address& source) const {
    for (const Address& other : others) {
      if (other == source) return true;
    }
    if (source.port != options.own.port) return false;
    std::vector<uint8_t> own = host_of(options.own), host = host_of(source);
    // The machine has loopback addresses only (World).
    bool reaches_all = is_zero(own) && (options.own.family == 6 || host.size() == 4);
    if (reaches_all) return is_zero(host) || is_loopback(host);
    if (is_zero(own)) return false;
    if (!is_zero(host)) return host == own;
    return host.size() == own.size() && own == (own.size() == 4 ? std::vector<uint8_t>{127, 0, 0, 1} : [] {
                                          std::vector<uint8_t> one(16);
                                          one[15] = 1;
                                          return one;
                                        }());
  }

  bool admits(const Address& source, LoopGuard::Kind kind) const {
    if (kind == LoopGuard::Kind::elsewhere) return true;
    std::vector<uint8_t> host = host_of(source);
    bool many = host.size() == 4 ? (host[0] >= 224 && host[0] < 240) || host == std::vector<uint8_t>(4, 255)
                                 : host[0] == 255;
    if (source.port == 0 || is_zero(host) || many || is_own(source)) return false;
    bool service = false;
    for (uint16_t port : options.service_ports) service = service || port == source.port;
    return !service || (kind == LoopGuard::Kind::reply && options.services_get_replies);
  }
};

}  // namespace

void run(Random& in) {
  World world(1'000'000'000'000);
  Model model;
  model.options.own = some_address(in);
  if (in.one_in(2)) model.options.service_ports = {7, 19};
  model.options.services_get_replies = in.one_in(2);
  test::CounterRow counters;
  LoopGuard guard(model.options, counters);
  uint64_t refused = 0;
  for (int steps = 0; in.left() > 0 && steps < 24; steps++) {
    Address source = some_address(in);
    if (in.one_in(8)) {
      // The guard remembers what it found of the latest source: who is added is not him.
      Address other = some_address(in);
      guard.admits(other, {}, 0, LoopGuard::Kind::elsewhere);
      guard.admits(source, {}, 0, LoopGuard::Kind::elsewhere);
      if (!(other == source)) guard.add_own(other), model.others.push_back(other);
    }
    if (in.one_in(12) && !model.others.empty() && !(model.others.back() == source)) {
      Address gone = model.others.back();
      guard.remove_own(gone);
      std::erase(model.others, gone);
      guard.admits(gone, {}, 0, LoopGuard::Kind::elsewhere);
    }
    auto kind = static_cast<LoopGuard::Kind>(in.below(3));
    uint32_t count = 1 + in.below(128);
    guard.begin(world.now_ns());
    bool admitted = guard.admits(source, {}, count, kind);
    must(admitted == model.admits(source, kind), "who can be answered is");
    if (!admitted) refused += count;
    must(guard.has_own(source) ==
             (std::find(model.others.begin(), model.others.end(), source) != model.others.end()),
         "the server's other sockets are known");
  }
  must(counters[Counter::loop_sources] == refused, "answers that are not sent are counted");
}

}  // namespace ksocket::fuzz
