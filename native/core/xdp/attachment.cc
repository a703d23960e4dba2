#include "core/xdp/attachment.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/answer/protection/source.h"
#include "core/xdp/bpf_call.h"

namespace ksocket::xdp {

namespace {

// Does a datagram to `own` come to this address?
bool carries(const Address& address, const Address& own) {
  bool is_ipv4 = ipv4_number(address).has_value();
  if (is_unspecified(own)) return own.family == 6 || is_ipv4;
  if (host_number(address) == host_number(own)) return true;
  // All of 127.0.0.0/8 is where 127.0.0.1 is.
  std::optional<uint32_t> one = ipv4_number(address), other = ipv4_number(own);
  return one && other && *one >> 24 == 127 && *other >> 24 == 127;
}

void note_mode(int generic, uint32_t ifindex, Mode mode) {
  if (generic < 0) return;
  constexpr uint8_t kYes = 1;
  if (mode == Mode::generic)
    set_element(generic, &ifindex, &kYes);
  else
    delete_element(generic, &ifindex);
}

}  // namespace

bool Attachment::wants(const Interface& interface) const {
  const auto& names = options_.names;
  if (!names.empty()) return std::ranges::find(names, interface.name) != names.end();
  if (!interface.is_up || !interface.has_frames) return false;
  return std::ranges::any_of(interface.addresses,
                             [&](const Address& address) { return carries(address, options_.own); });
}

int Attachment::lead_to(int first, int left) {
  if (server_ < 0) server_ = dispatcher_.join(route_);
  return server_ < 0 ? server_ : dispatcher_.lead_to(server_, first, left);
}

void Attachment::follow(const std::vector<Interface>& present, int generic) {
  std::vector<Place> next;
  for (const Interface& interface : present) {
    if (!wants(interface)) continue;
    auto told = [&](Mode mode) { note_mode(generic, interface.ifindex, mode); };
    Dispatcher::Attached is = dispatcher_.attach(server_, interface, options_.mode, told);
    next.push_back({interface.name, interface.ifindex, is.mode, is.error, is.reason});
  }
  for (const Place& place : places_) {
    if (place.ifindex == 0 || std::ranges::find(next, place.ifindex, &Place::ifindex) != next.end()) continue;
    dispatcher_.detach(server_, place.ifindex);
    note_mode(generic, place.ifindex, Mode::automatic);
  }
  for (const std::string& name : options_.names) {
    if (std::ranges::find(next, name, &Place::name) != next.end()) continue;
    next.push_back({name, 0, Mode::automatic, -ENODEV, "there is no such interface"});
  }
  places_ = std::move(next);
}

void Attachment::detach() {
  if (server_ >= 0) dispatcher_.leave(std::exchange(server_, -1));
  places_.clear();
}

bool Attachment::waits() const {
  return std::ranges::find(places_, -EBUSY, &Place::error) != places_.end();
}

}  // namespace ksocket::xdp
