#include "core/xdp/attachment.h"

#include <linux/if_link.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/answer/protection/source.h"
#include "core/xdp/bpf_call.h"
#include "core/xdp/probe.h"

namespace ksocket::xdp {

namespace {

bool is_busy(int error) {
  return error == -EBUSY || error == -EEXIST;
}

const char* reason_for(int error, Mode mode) {
  if (is_busy(error)) return "another XDP program is attached";
  if (error == -EPERM || error == -EACCES) return needs_for(error);
  if (error == -EINVAL || error == -EOPNOTSUPP)
    return mode == Mode::native ? "its driver has no native XDP" : "the kernel refuses XDP there";
  if (error == -ERANGE) return "its MTU is too large for XDP";
  if (error == -ENOTCONN) return "its other end is missing";
  return "the kernel refuses";
}

// Does a datagram to `own` come to this address?
bool carries(const Address& address, const Address& own) {
  bool is_ipv4 = ipv4_number(address).has_value();
  if (is_unspecified(own)) return own.family == 6 || is_ipv4;
  if (host_number(address) == host_number(own)) return true;
  // All of 127.0.0.0/8 is where 127.0.0.1 is.
  std::optional<uint32_t> one = ipv4_number(address), other = ipv4_number(own);
  return one && other && *one >> 24 == 127 && *other >> 24 == 127;
}

}  // namespace

bool Attachment::wants(const Interface& interface) const {
  const auto& names = options_.names;
  if (!names.empty()) return std::find(names.begin(), names.end(), interface.name) != names.end();
  if (!interface.is_up || !interface.has_frames) return false;
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [&](const Address& address) { return carries(address, options_.own); });
}

void Attachment::attach(Place& place, const Interface& interface, int program) const {
  place.error = 0;
  place.reason = "";
  if (!interface.has_frames) {
    place.error = -EOPNOTSUPP;
    place.reason = "what it carries are no Ethernet frames";
    return;
  }
  bool native = options_.mode == Mode::native;
  bool generic = options_.mode == Mode::generic;
  if (options_.mode == Mode::automatic) generic = is_veth(interface.name);
  Mode mode = generic ? Mode::generic : Mode::native;
  auto try_it = [&] {
    uint32_t flags = mode == Mode::generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
    return attach_to_interface(program, interface.ifindex, flags, &place.link);
  };
  int error = try_it();
  if (error != 0 && !is_busy(error) && !native && !generic) {
    mode = Mode::generic;
    error = try_it();
  }
  if (error != 0) {
    place.error = is_busy(error) ? -EBUSY : error;  // -EEXIST: in another mode
    place.reason = reason_for(error, mode);
    return;
  }
  place.mode = mode;
}

void Attachment::follow(const std::vector<Interface>& present, const std::set<uint32_t>& gone, int program) {
  std::vector<Place> next;
  for (const Interface& interface : present) {
    if (!wants(interface)) continue;
    auto is_it = [&](const Place& place) {
      return place.ifindex == interface.ifindex && !gone.contains(place.ifindex);
    };
    auto known = std::find_if(places_.begin(), places_.end(), is_it);
    Place place;
    place.name = interface.name;
    place.ifindex = interface.ifindex;
    if (known != places_.end()) place.link = std::move(known->link), place.mode = known->mode;
    if (!place.link) attach(place, interface, program);
    next.push_back(std::move(place));
  }
  for (const std::string& name : options_.names) {
    auto is_it = [&](const Place& place) { return place.name == name; };
    if (std::any_of(next.begin(), next.end(), is_it)) continue;
    Place& place = next.emplace_back();
    place.name = name;
    place.error = -ENODEV;
    place.reason = "there is no such interface";
  }
  places_ = std::move(next);
}

void Attachment::replace(int program, int present) {
  for (Place& place : places_) {
    if (!place.link) continue;
    int error = replace_program(place.link.get(), program, present);
    if (error == 0) continue;
    // The interface is gone (-ENOLINK), which the next follow() will see; else what is there is not ours.
    place.link.reset();
    place.error = error;
    place.reason = "the program could not be replaced, so it was taken away";
  }
}

bool Attachment::waits() const {
  return std::any_of(places_.begin(), places_.end(), [](const Place& place) { return is_busy(place.error); });
}

}  // namespace ksocket::xdp
