#include "core/xdp/numbers.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/xdp/bpf_call.h"

namespace ksocket::xdp {

std::vector<uint32_t> Numbers::places_of(const std::vector<std::string>& names,
                                         const std::vector<std::string>& present) {
  size_t count = std::min<size_t>(names.size(), kRulesMax);
  std::set<std::string_view> kept(present.begin(), present.end());
  std::erase_if(places_, [&](const auto& each) { return !kept.contains(each.first); });
  std::vector<bool> taken(kPlaces);
  for (const auto& [name, place] : places_) taken[place] = true;
  std::vector<uint32_t> out;
  uint32_t free = 0;
  for (size_t i = 0; i < count; i++) {
    auto known = places_.find(names[i]);
    if (known == places_.end()) {
      while (taken[free]) free++;
      taken[free] = true;
      known = places_.emplace(names[i], free).first;
      fresh_.push_back(names[i]);
    }
    out.push_back(known->second);
  }
  return out;
}

void Numbers::loaded(const std::shared_ptr<Loaded::Map>& map) {
  if (map == nullptr) return;
  if (map_ == nullptr) map_ = map;
  for (const std::string& name : fresh_) {
    auto place = places_.find(name);
    if (place == places_.end()) continue;
    auto before = before_.find(name);
    uint64_t number = before != before_.end() ? before->second : 0;
    if (number != number_at(place->second)) set_element(map_->fd.get(), &place->second, &number);
  }
  fresh_.clear();
  before_.clear();
}

uint64_t Numbers::number_at(uint32_t place) const {
  uint64_t out = 0;
  return map_ != nullptr && get_element(map_->fd.get(), &place, &out) == 0 ? out : 0;
}

std::map<std::string, uint64_t> Numbers::all() const {
  std::map<std::string, uint64_t> out = before_;
  for (const auto& [name, place] : places_) out[name] = std::max(out[name], number_at(place));
  return out;
}

}  // namespace ksocket::xdp
