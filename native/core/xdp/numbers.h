// How many replies each rule has made, which a `counter` slot says: a number that no two replies have. A rule
// has its place in the map as long as there is one of its name, so that one set goes on where another one is
// still at work.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/xdp/load.h"

namespace ksocket::xdp {

class Numbers {
 public:
  // Rules of two sets, whatever they are called.
  static constexpr uint32_t kPlaces = 2 * kRulesMax;

  // Before the first reply they are these.
  void begin(std::map<std::string, uint64_t> numbers) { before_ = std::move(numbers); }
  // The places of rules that come next, where those of `present` are in force.
  std::vector<uint32_t> places_of(const std::vector<std::string>& names,
                                  const std::vector<std::string>& present);
  // They have been loaded, with this map or none.
  void loaded(const std::shared_ptr<Loaded::Map>& map);

  const std::shared_ptr<Loaded::Map>& map() const { return map_; }
  std::map<std::string, uint64_t> all() const;

 private:
  uint64_t number_at(uint32_t place) const;

  std::shared_ptr<Loaded::Map> map_;
  std::map<std::string, uint32_t> places_;
  std::map<std::string, uint64_t> before_;  // of those that have none in the map
  std::vector<std::string> fresh_;          // have a place, and what was there before
};

}  // namespace ksocket::xdp
