#include "support/xdp_random.h"

#include <algorithm>

#include "support/fake_engine.h"
#include "support/rules_random.h"

namespace ksocket::test {

namespace {

using Bytes = std::vector<uint8_t>;
using Checksum = Frame::Checksum;
using Flaw = Frame::Flaw;

constexpr const char* kServed[] = {"10.0.0.1", "10.1.2.3",    "127.0.0.1", "192.0.2.255",
                                   "::1",      "2001:db8::1", "fe80::1",   "2001:db8::2"};

Bytes ip_of(const char* text) {
  Address address = address_of(text, 0);
  return {address.bytes, address.bytes + (address.family == 4 ? 4 : 16)};
}

// IPv4-mapped IPv6 is IPv4, on a wire.
Bytes wire_address(const Address& address) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.family == 4) return {address.bytes, address.bytes + 4};
  if (std::equal(kMapped, kMapped + 12, address.bytes)) return {address.bytes + 12, address.bytes + 16};
  return {address.bytes, address.bytes + 16};
}

Bytes random_served(Random& random, size_t bytes) {
  const auto& served = served_addresses()[random.below(4) + (bytes == 4 ? 0 : 4)];
  return {served.end() - static_cast<ptrdiff_t>(bytes), served.end()};
}

Bytes odd_source(Random& random, size_t bytes) {
  static constexpr const char* kIpv4[] = {"0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255"};
  static constexpr const char* kIpv6[] = {"::", "ff02::1", "::2", "::1:0:0:1", "::ffff:10.0.0.1"};
  return ip_of((bytes == 4 ? kIpv4 : kIpv6)[random.below(5)]);
}

// Lengths around which something changes: words, chunks of checksums, what the kernel copies.
void lengthen(Random& random, Bytes* payload) {
  static constexpr uint32_t kLengths[] = {0,    3,    16,   60,   511,  512,  513,
                                          1023, 1025, 1472, 1534, 1536, 1537, 2000};
  size_t length = kLengths[random.below(std::size(kLengths))] + random.below(3);
  size_t from = payload->size();
  payload->resize(length);
  for (size_t i = from; i < length; i++) (*payload)[i] = static_cast<uint8_t>(random());
}

void almost(Random& random, Bytes* payload) {
  switch (random.below(4)) {
    case 0:
      payload->push_back(static_cast<uint8_t>('a' + random.below(3)));
      break;
    case 1:
      if (!payload->empty()) payload->pop_back();
      break;
    case 2:
      if (!payload->empty()) (*payload)[random.below(payload->size())] ^= 1 << random.below(8);
      break;
    case 3:
      lengthen(random, payload);
      break;
  }
}

bool is_served(const Bytes& ip) {
  std::array<uint8_t, 16> wanted{};
  if (ip.size() == 4) wanted[10] = wanted[11] = 0xff;
  std::ranges::copy(ip, wanted.end() - static_cast<ptrdiff_t>(ip.size()));
  auto served = served_addresses();
  return std::ranges::find(served, wanted) != served.end();
}

bool is_odd(const Bytes& source) {
  if (source.size() == 4) return source[0] == 0 || source[0] >= 224;
  bool low = std::all_of(source.begin(), source.begin() + 8, [](uint8_t byte) { return byte == 0; });
  return source[0] == 0xff || (low && source != ip_of("::1"));
}

}  // namespace

xdp::CompileOptions random_options(Random& random) {
  xdp::CompileOptions out;
  out.port = static_cast<uint16_t>(1 + random.below(3));
  out.clock = xdp::CompileOptions::Clock::stands;
  out.ipv4 = !random.one_in(10);
  out.ipv6 = !out.ipv4 || !random.one_in(10);
  out.ttl = static_cast<uint8_t>(1 + random.below(255));
  out.tos = static_cast<uint8_t>(random.one_in(2) ? 0 : random.below(256));
  out.traffic_class = out.tos ^ 0x2c;
  return out;
}

xdp::Entry random_entry(Random& random, const xdp::CompileOptions& options) {
  static const std::optional<xdp::JoinedFrames> kJoined = xdp::joined_frames();
  xdp::Entry out;
  out.from_machines = random.one_in(2);
  if (out.from_machines) out.hardware = Frame{}.hardware_to;
  if (random.one_in(2)) out.joined = kJoined;
  // Others before it and behind it, which have other ports or addresses.
  xdp::Route own{options.port, options.ipv4, options.ipv6, {}, {}}, other = own, elsewhere = own;
  other.port = options.port + 7;
  if (own.ipv4) elsewhere.ipv4_address = {198, 51, 100, 1};
  if (own.ipv6) elsewhere.ipv6_address = {0x20, 1, 0xd, 0xb8, 9};
  out.ways = {{0, own}};
  if (random.one_in(2)) out.ways.insert(out.ways.begin(), {1, other});
  if (random.one_in(2)) out.ways.push_back({2, elsewhere});
  return out;
}

Frame random_frame(Random& random, const rules::RuleSpec& spec, uint16_t port, const xdp::Entry& entry) {
  Datagram datagram = random_datagram(random, spec);
  Frame out;
  out.payload = std::move(datagram.payload);
  if (random.one_in(4)) almost(random, &out.payload);
  out.source = wire_address(datagram.source);
  if (random.one_in(30)) out.source = odd_source(random, out.source.size());
  out.source_port = random.one_in(50) ? 0 : random.one_in(20) ? port : datagram.source.port;
  bool fits = datagram.local.size() == out.source.size() && is_served(datagram.local);
  out.local = fits ? datagram.local : random_served(random, out.source.size());
  if (random.one_in(50)) out.local.back() ^= 0x40;
  out.local_port = port;
  out.ttl = datagram.ttl;
  out.tos = static_cast<uint8_t>(datagram.tos);
  out.padding = random.one_in(4) ? random.below(20) : 0;
  if (random.one_in(5)) out.checksum = static_cast<Checksum>(random.below(4));
  if (!entry.from_machines) out.hardware_to = out.hardware_from = {};
  if (random.one_in(8)) out.flaw = static_cast<Flaw>(random.below(static_cast<uint32_t>(Flaw::kCount)));
  return out;
}

std::span<const std::array<uint8_t, 16>> served_addresses() {
  static const auto kAll = [] {
    std::array<std::array<uint8_t, 16>, std::size(kServed)> out{};
    for (size_t i = 0; i < out.size(); i++) {
      Bytes ip = ip_of(kServed[i]);
      if (ip.size() == 4) out[i][10] = out[i][11] = 0xff;
      std::ranges::copy(ip, out[i].end() - static_cast<ptrdiff_t>(ip.size()));
    }
    return out;
  }();
  return kAll;
}

namespace {

// To this interface, and from somebody.
bool is_ours(const Bytes& frame, const xdp::Entry& entry) {
  if (!std::equal(entry.hardware.begin(), entry.hardware.end(), frame.begin())) return false;
  bool nobody = std::all_of(frame.begin() + 6, frame.begin() + 12, [](uint8_t byte) { return byte == 0; });
  return !entry.from_machines || (!nobody && frame[6] % 2 == 0);
}

bool is_of_hardware(Flaw flaw) {
  return flaw >= Flaw::to_a_group && flaw <= Flaw::from_nobody;
}

}  // namespace

bool is_plain(const Frame& frame, const xdp::CompileOptions& options, const xdp::Entry& entry) {
  bool ipv4 = frame.source.size() == 4;
  if (!(ipv4 ? options.ipv4 : options.ipv6) || !is_ours(frame.bytes(), entry)) return false;
  if (frame.flaw != Flaw::none && !is_of_hardware(frame.flaw)) return false;
  bool checked = frame.checksum == Checksum::whole || frame.checksum == Checksum::partial ||
                 (frame.checksum == Checksum::none && ipv4);
  if (!checked || frame.payload.size() > xdp::kPayloadBytesMax) return false;
  if (!is_served(frame.local) || is_odd(frame.source) || frame.source_port == 0) return false;
  return !is_own(frame) || frame.source_port != options.port;
}

bool is_own(const Frame& frame) {
  return is_served(frame.source) || (frame.source.size() == 4 && frame.source[0] == 127);
}

Frame answer_to(const Frame& frame, std::vector<uint8_t> payload, const xdp::CompileOptions& options) {
  Frame out;
  out.payload = std::move(payload);
  out.source = frame.local;
  out.local = frame.source;
  out.source_port = frame.local_port;
  out.local_port = frame.source_port;
  out.ttl = options.ttl;
  out.tos = frame.source.size() == 4 ? options.tos : options.traffic_class;
  out.identification = 0;
  out.flow_label = 0;
  Bytes given = frame.bytes();
  std::copy_n(given.begin() + 6, 6, out.hardware_to.begin());
  std::copy_n(given.begin(), 6, out.hardware_from.begin());
  return out;
}

}  // namespace ksocket::test
