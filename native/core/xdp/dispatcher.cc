#include "core/xdp/dispatcher.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/xdp/bpf_call.h"
#include "core/xdp/joined_frames.h"
#include "core/xdp/probe.h"

namespace ksocket::xdp {

namespace {

using Attached = Dispatcher::Attached;

constexpr int kNetnsCookie = 71;  // SO_NETNS_COOKIE: Linux 5.14

// Read once a process: it is some megabytes.
const std::optional<JoinedFrames>& joined_here() {
  static const std::optional<JoinedFrames> joined = joined_frames();
  return joined;
}

bool is_busy(int error) {
  return error == -EBUSY || error == -EEXIST;
}

Attached failed(int error, Mode mode) {
  auto because = [&](const char* reason) { return Attached{mode, error, reason}; };
  if (is_busy(error)) return {mode, -EBUSY, "another XDP program is attached"};
  if (error == -EPERM || error == -EACCES) return because(needs_for(error));
  if (error == -EINVAL || error == -EOPNOTSUPP)
    return because(mode == Mode::native ? "its driver has no native XDP" : "the kernel refuses XDP there");
  if (error == -ERANGE) return because("its MTU is too large for XDP");
  if (error == -ENOTCONN) return because("its other end is missing");
  return because("the kernel refuses");
}

// Why it must not be in this mode, or nothing.
const char* obstacle(const Offloads& offloads, Mode mode) {
  // What native XDP sends has no tag: an answer would leave to another VLAN than its request's. What generic
  // XDP sends keeps the one that was taken off, if the card puts it on again.
  if (mode == Mode::native && offloads.takes_tags_off && !offloads.is_veth)
    return "it takes VLAN tags off what it receives (ethtool -K … rxvlan off)";
  if (mode == Mode::generic && offloads.takes_tags_off && !offloads.puts_tags_on)
    return "it takes VLAN tags off what it receives, and puts none on (ethtool -K … rxvlan off)";
  if (mode == Mode::generic && !joined_here())
    return "the kernel does not describe where it says which datagrams are joined";
  return nullptr;
}

std::vector<Mode> modes_of(const Offloads& offloads, Mode wanted) {
  if (wanted != Mode::automatic) return {wanted};
  if (offloads.is_veth || offloads.is_tap) return {Mode::generic};
  return {Mode::native, Mode::generic};
}

bool leads_to(const Entry& entry, int server) {
  auto number = static_cast<uint32_t>(server);
  return std::ranges::find(entry.ways, number, &Entry::Way::server) != entry.ways.end();
}

}  // namespace

Dispatcher& Dispatcher::here() {
  static std::mutex mutex;
  static auto& all =
      *new std::map<uint64_t, Dispatcher*>();  // never freed: threads outlive what ends a process
  uint64_t space = 0;
  socklen_t size = sizeof space;
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  getsockopt(fd.get(), SOL_SOCKET, kNetnsCookie, &space, &size);
  std::lock_guard lock(mutex);
  Dispatcher*& out = all[space];
  if (out == nullptr) out = new Dispatcher();
  return *out;
}

int Dispatcher::join(const Route& route) {
  std::lock_guard lock(mutex_);
  if (!servers_) {
    int error = create_map({BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2 * kServersMax}, "ks_servers", &servers_);
    if (error != 0) return error;
  }
  int server = 0;
  while (routes_.contains(server)) server++;
  if (server >= static_cast<int>(kServersMax)) return -ENOSPC;
  routes_[server] = route;
  return server;
}

void Dispatcher::leave(int server) {
  lead_to(server, -1, -1);
  std::vector<uint32_t> indices;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [ifindex, port] : ports_) indices.push_back(ifindex);
  }
  for (uint32_t ifindex : indices) detach(server, ifindex);
  std::lock_guard lock(mutex_);
  routes_.erase(server);
}

int Dispatcher::lead_to(int server, int first, int left) {
  std::lock_guard lock(mutex_);
  int error = 0;
  for (auto [place, program] : {std::pair{left_place(static_cast<uint32_t>(server)), left},
                                std::pair{first_place(static_cast<uint32_t>(server)), first}}) {
    if (program < 0)
      delete_element(servers_.get(), &place);
    else if (error == 0)
      error = set_element(servers_.get(), &place, &program);
  }
  return error;
}

int Dispatcher::load(const Entry& entry, Fd* out) const {
  Program program = compile_entry(entry);
  for (const Relocation& relocation : program.relocations) program.code[relocation.slot].imm = servers_.get();
  return load_program(program.code, program.name.c_str(), out, nullptr);
}

int Dispatcher::swap(Port& port, const Entry& entry) const {
  Fd program;
  int error = load(entry, &program);
  if (error == 0) error = replace_program(port.link.get(), program.get(), port.program.get());
  if (error != 0) return error;
  port.entry = entry;
  port.program = std::move(program);
  return 0;
}

Attached Dispatcher::attach(int server, const Interface& interface, Mode wanted, const Told& told) {
  if (!interface.has_frames) return {Mode::automatic, -EOPNOTSUPP, "what it carries are no Ethernet frames"};
  Offloads offloads = offloads_of(interface.name);
  std::lock_guard lock(mutex_);
  auto present = ports_.find(interface.ifindex);
  // The interface is another one, or not for this mode any more.
  if (present != ports_.end() &&
      (!is_attached(present->second.link.get()) || obstacle(offloads, present->second.mode) != nullptr)) {
    ports_.erase(present);
    present = ports_.end();
  }
  if (present != ports_.end()) {
    Port& port = present->second;
    if (wanted != Mode::automatic && wanted != port.mode)
      return {wanted, -EBUSY, "another server of this process has it in the other mode"};
    told(port.mode);
    return add(port, server, interface);
  }
  Attached out;
  for (Mode mode : modes_of(offloads, wanted)) {
    told(mode);
    const char* reason = obstacle(offloads, mode);
    out = reason != nullptr ? Attached{mode, -EOPNOTSUPP, reason} : attach_first(server, interface, mode);
    if (out.error == 0 || is_busy(out.error)) break;
  }
  return out;
}

Attached Dispatcher::add(Port& port, int server, const Interface& interface) {
  const Route& route = routes_.at(server);
  bool is_there = leads_to(port.entry, server);
  if (is_there && port.entry.hardware == interface.hardware) return {port.mode};
  auto meets = [&](const Entry::Way& way) { return way.route.meets(route); };
  if (!is_there && std::ranges::any_of(port.entry.ways, meets))
    return {port.mode, -EBUSY, "another server of this process answers at this address and port"};
  Entry entry = port.entry;
  entry.hardware = interface.hardware;
  if (!is_there) entry.ways.push_back({static_cast<uint32_t>(server), route});
  int error = swap(port, entry);
  return error == 0 ? Attached{port.mode} : failed(error, port.mode);
}

Attached Dispatcher::attach_first(int server, const Interface& interface, Mode mode) {
  Port port{mode, {interface.hardware, !interface.is_loopback, {}, {}}, {}, {}};
  if (mode == Mode::generic) port.entry.joined = joined_here();
  port.entry.ways = {{static_cast<uint32_t>(server), routes_.at(server)}};
  if (int error = load(port.entry, &port.program); error != 0) {
    // A kernel that is locked down lets nobody read its memory.
    if (mode == Mode::generic)
      return {mode, error, "the kernel does not let programs see which datagrams are joined"};
    return failed(error, mode);
  }
  uint32_t flags = mode == Mode::generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  int error = attach_to_interface(port.program.get(), interface.ifindex, flags, &port.link);
  if (error != 0) return failed(error, mode);
  ports_[interface.ifindex] = std::move(port);
  return {mode};
}

void Dispatcher::detach(int server, uint32_t ifindex) {
  std::lock_guard lock(mutex_);
  auto at = ports_.find(ifindex);
  if (at == ports_.end() || !leads_to(at->second.entry, server)) return;
  Entry entry = at->second.entry;
  std::erase_if(entry.ways, [&](const auto& way) { return way.server == static_cast<uint32_t>(server); });
  // Where it cannot be swapped, others lose it, too, rather than that this server keeps it.
  if (entry.ways.empty() || swap(at->second, entry) != 0) ports_.erase(at);
}

}  // namespace ksocket::xdp
