// From what compile() makes to what the kernel has: maps and programs, as descriptors of ours.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/xdp/compile.h"

namespace ksocket::xdp {

// One set of rules and protection, loaded. Maps may belong to several sets, one behind the other.
struct Loaded {
  struct Map {
    Fd fd;
    MapSpec spec;
  };

  std::array<std::shared_ptr<Map>, static_cast<size_t>(MapId::kCount)> maps;
  std::vector<Fd> programs;  // as in CompiledRules
  Fd left;

  // Null: there is none.
  const std::shared_ptr<Map>& map(MapId id) const { return maps[static_cast<size_t>(id)]; }
  int program() const { return programs.empty() ? -1 : programs.front().get(); }
};

// These maps are to go on, with what is in them, if they still are of the same shape.
struct Kept {
  std::array<std::shared_ptr<Loaded::Map>, static_cast<size_t>(MapId::kCount)> maps;

  void keep(MapId id, const std::shared_ptr<Loaded::Map>& map) { maps[static_cast<size_t>(id)] = map; }
};

// 0, or -errno, with what the verifier says in `log` if it was that.
int load(const CompiledRules& rules, const Kept& kept, Loaded* out, std::string* log);

}  // namespace ksocket::xdp
