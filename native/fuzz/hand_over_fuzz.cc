// Rows of flows as another process has written them, with whatever descriptors: a forwarder has the flows
// that a second writing of the rules has, reads none before it begins, and closes each descriptor once.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/answer/forwarder.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/world.h"
#include "support/ring_memory.h"

namespace ksocket::fuzz {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kNextTarget = UINT32_MAX;
constexpr uint64_t kRule = 9;

// Descriptors of this input, with numbers that no other has. The kernel is not asked.
constexpr int kFirstFd = 1 << 20, kFdsMax = 256;
struct Descriptor {
  enum class Kind : uint8_t { udp, unconnected, local, file } kind = Kind::udp;
  uint8_t target = 0;
  uint16_t port = 0;
  uint8_t open = 0;
};
std::array<Descriptor, kFdsMax> descriptors;
int made = 0;

int make(Descriptor::Kind kind, uint8_t target) {
  if (made == kFdsMax) return -1;
  descriptors[made] = {kind, target, static_cast<uint16_t>(5000 + made), 1};
  return kFirstFd + made++;
}

Descriptor* descriptor(int fd) {
  return fd >= kFirstFd && fd < kFirstFd + made ? &descriptors[fd - kFirstFd] : nullptr;
}

Address address_of(uint8_t last, uint16_t port) {
  Address out;
  out.family = 4;
  out.bytes[0] = 10;
  out.bytes[3] = last;
  out.port = port;
  return out;
}
Address target_of(uint8_t number) {
  return address_of(number, 53);
}

// What the other process says of one flow, in fields that mostly make sense.
FlowRow row_of(Random& in, bool raw) {
  FlowRow row;
  if (raw) {
    std::span<const uint8_t> bytes = in.bytes(sizeof row);
    std::memcpy(static_cast<void*>(&row), bytes.data(), bytes.size());
    return row;
  }
  row.serial = in.one_in(16) ? -1.5 : in.below(4);
  row.client = address_of(static_cast<uint8_t>(in.below(3)), static_cast<uint16_t>(1 + in.below(3)));
  if (in.one_in(16)) row.client.family = static_cast<uint8_t>(in.below(8));
  constexpr uint32_t kTargets[] = {0, 1, kNextTarget, 7};
  row.target = kTargets[in.below(4)];
  row.idle_ns = in.one_in(8) ? in.u64() : in.below(4) * kSecond;
  row.requests = in.below(4);
  row.answers = in.below(4);
  row.hops = static_cast<uint8_t>(in.below(4));
  row.grown = static_cast<uint8_t>(in.below(2));
  row.has_asked = static_cast<uint8_t>(in.below(2));
  std::memset(row.asked, static_cast<int>(in.below(256)), sizeof row.asked);
  row.kernel_drops = in.below(3);
  return row;
}

struct Key {
  Address client;
  uint32_t target;
  bool operator==(const Key& other) const { return target == other.target && client == other.client; }
};

// The rules once more: what of a forwarder that has room for all.
struct Model {
  struct Flow {
    uint64_t serial;
    int fd;
    bool is_there, begun;
    FlowRow row;
    uint64_t used_ns;
  };
  std::vector<std::pair<Key, Flow>> flows;  // few

  std::vector<std::pair<Key, Flow>>::iterator find(const FlowRow& row) {
    return std::find_if(flows.begin(), flows.end(), [&](const auto& one) {
      return one.first == Key{row.client, row.target};
    });
  }

  static bool is_flow(const FlowRow& row, int fd) {
    const Descriptor* found = descriptor(fd);
    if (found == nullptr || found->kind != Descriptor::Kind::udp) return false;
    bool is_ours =
        row.target == kNextTarget ? found->target < 2 : row.target < 2 && row.target == found->target;
    return is_ours && (row.client.family == 4 || row.client.family == 6);
  }

  void take(const FlowRow& row, int fd, uint64_t now) {
    if (!(row.serial >= 1 && row.serial <= 9007199254740992.0)) return;
    auto serial = static_cast<uint64_t>(row.serial);
    auto found = find(row);
    // One that has begun is this process's own.
    if (found == flows.end() || found->second.begun || found->second.serial != serial) {
      if (found != flows.end()) flows.erase(found);
      if (!is_flow(row, fd)) return;
      flows.push_back({{row.client, row.target}, {serial, fd, true, false, row, 0}});
      found = flows.end() - 1;
    }
    Flow& flow = found->second;
    uint8_t asked[sizeof row.asked];
    bool had_asked = flow.row.has_asked != 0;
    std::memcpy(asked, flow.row.asked, sizeof asked);
    uint8_t hops = flow.row.hops, grown = flow.row.grown;
    flow.row = row;
    flow.row.hops = hops;
    flow.row.grown = grown;
    if (!row.has_asked && had_asked) {
      std::memcpy(flow.row.asked, asked, sizeof asked);
      flow.row.has_asked = 1;
    }
    flow.is_there = true;
    flow.used_ns = now - std::min(now, row.idle_ns);
  }
  void mark_absent() {
    for (auto& [key, flow] : flows) flow.is_there = false;
  }
  void settle() {
    std::erase_if(flows, [](const auto& one) { return !one.second.begun && !one.second.is_there; });
  }
  void begin() {
    for (auto& [key, flow] : flows) flow.begun = true;
  }
};

// So that no descriptors are copied.
const KnownFlows& all_known() {
  static const KnownFlows* known = [] {
    auto* out = new KnownFlows;
    for (uint64_t serial = 1; serial <= kFdsMax; serial++) out->insert({kRule, serial});
    return out;
  }();
  return *known;
}

void check_rows(const Forwarder& forwarder, Model& model, uint64_t now) {
  std::vector<FlowRow> rows;
  must(forwarder.put_rows(kRule, 0, SIZE_MAX, all_known(), now, &rows) >= 0, "rows are put");
  must(rows.size() == model.flows.size(), "the flows are those that there are to be");
  for (const FlowRow& row : rows) {
    auto found = model.find(row);
    must(found != model.flows.end(), "a flow is of a client that has one");
    const Model::Flow& flow = found->second;
    must(row.requests == flow.row.requests && row.answers == flow.row.answers, "a flow has its numbers");
    must(row.idle_ns == now - flow.used_ns, "a flow is as old as it was");
    must(row.hops == flow.row.hops && (row.grown != 0) == (flow.row.grown != 0),
         "a flow's socket is as it was");
    must(row.kernel_drops == flow.row.kernel_drops, "what is counted is not counted again");
    must((row.has_asked != 0) == (flow.row.has_asked != 0), "a flow knows where it was asked, or not");
    must(!row.has_asked || std::memcmp(row.asked, flow.row.asked, sizeof row.asked) == 0,
         "a flow answers from where it was asked");
    must(descriptor(flow.fd)->open == 1, "a flow has its descriptor");
  }
}

void converse(Random& in, uint32_t flows_max, bool is_exact) {
  World world(1000 * kSecond);
  test::CounterRow counters;
  std::bitset<kFdsMax> watched;
  Forwarder::Options options{.targets = {target_of(0), target_of(1)}, .flows_max = flows_max};
  Forwarder::Host host{[&](int fd, uint32_t) {
                         must(descriptor(fd) != nullptr && descriptor(fd)->open == 1,
                              "what is open is watched");
                         must(!watched[fd - kFirstFd], "no descriptor is watched twice");
                         watched.set(fd - kFirstFd);
                         return 0;
                       },
                       [&](int fd) { watched.reset(fd - kFirstFd); }};
  Forwarder forwarder(std::move(options), 100, host, false, counters);
  Model model;
  for (uint32_t steps = 0; in.left() > 0 && steps < 24; steps++) {
    uint32_t what = in.below(16);
    if (what < 11) {
      FlowRow row = row_of(in, what == 10);
      int fd = -1;
      if (!in.one_in(4)) {
        uint32_t kind = in.below(16);
        fd = make(kind > 3 ? Descriptor::Kind::udp : static_cast<Descriptor::Kind>(kind),
                  static_cast<uint8_t>(in.below(3)));
      }
      forwarder.take(row, Fd(fd), world.now_ns());
      model.take(row, fd, world.now_ns());
    } else if (what == 11) {
      forwarder.mark_absent();
      model.mark_absent();
    } else if (what == 12) {
      forwarder.settle();
      model.settle();
    } else if (what == 13) {
      forwarder.begin();
      model.begin();
      must(watched.count() == forwarder.open(), "all that has begun is read");
    } else {
      world.pass(in.below(256) * kSecond / 64);
    }
    must(forwarder.open() <= flows_max, "there are no more flows than may be");
    must(watched.count() <= forwarder.open(), "what is watched is a flow");
    if (is_exact && what > 10) check_rows(forwarder, model, world.now_ns());
  }
  if (is_exact) check_rows(forwarder, model, world.now_ns());
}

}  // namespace

void run(Random& in) {
  made = 0;
  bool is_exact = !in.one_in(4);
  converse(in, is_exact ? 32 : 1 + in.below(3), is_exact);
  for (int i = 0; i < made; i++) must(descriptors[i].open == 0, "each descriptor is closed once");
}

}  // namespace ksocket::fuzz

// In the place of the C library's: of the descriptors above. All others are the kernel's.
extern "C" {

using namespace ksocket::fuzz;

int close(int fd) {
  auto* found = descriptor(fd);
  if (found == nullptr) return static_cast<int>(syscall(SYS_close, fd));
  must(found->open == 1, "a descriptor is not closed twice");
  found->open = 0;
  return 0;
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  auto* found = descriptor(fd);
  if (found == nullptr) return static_cast<int>(syscall(SYS_getsockopt, fd, level, name, value, length));
  if (found->kind == ksocket::fuzz::Descriptor::Kind::file || level != SOL_SOCKET || *length < sizeof(int)) {
    errno = ENOTSOCK;
    return -1;
  }
  if (name != SO_DOMAIN && name != SO_TYPE) {
    errno = ENOPROTOOPT;
    return -1;
  }
  bool is_local = found->kind == ksocket::fuzz::Descriptor::Kind::local;
  int is = name == SO_TYPE ? SOCK_DGRAM : is_local ? AF_UNIX : AF_INET;
  std::memcpy(value, &is, sizeof is);
  return 0;
}

static int put_name(const ksocket::Address& address, sockaddr* out, socklen_t* length) {
  ksocket::SockAddr name = ksocket::to_sockaddr(address);
  std::memcpy(out, &name.any, std::min(*length, name.length));
  *length = name.length;
  return 0;
}

int getsockname(int fd, sockaddr* out, socklen_t* length) noexcept {
  auto* found = descriptor(fd);
  if (found == nullptr) return static_cast<int>(syscall(SYS_getsockname, fd, out, length));
  return put_name(address_of(200, found->port), out, length);
}

int getpeername(int fd, sockaddr* out, socklen_t* length) noexcept {
  auto* found = descriptor(fd);
  if (found == nullptr) return static_cast<int>(syscall(SYS_getpeername, fd, out, length));
  if (found->kind == ksocket::fuzz::Descriptor::Kind::unconnected) {
    errno = ENOTCONN;
    return -1;
  }
  return put_name(target_of(found->target), out, length);
}
}
