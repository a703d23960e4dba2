#include "core/xdp/listing.h"

#include <algorithm>

#include "core/bpf/disassemble.h"

namespace ksocket::xdp {

namespace {

std::string type_of(uint32_t type) {
  switch (type) {
    case BPF_MAP_TYPE_HASH:
      return "hash";
    case BPF_MAP_TYPE_ARRAY:
      return "array";
    case BPF_MAP_TYPE_PROG_ARRAY:
      return "prog_array";
    case BPF_MAP_TYPE_PERCPU_ARRAY:
      return "percpu_array";
    case BPF_MAP_TYPE_LRU_HASH:
      return "lru_hash";
    case BPF_MAP_TYPE_LPM_TRIE:
      return "lpm_trie";
    default:
      return std::to_string(type);
  }
}

std::string map_line(const MapSpec& map) {
  return std::string("map ") + map.name + ": " + type_of(map.type) + ", key " + std::to_string(map.key_size) +
         " bytes, value " + std::to_string(map.value_size) + " bytes, " + std::to_string(map.max_entries) +
         " entries at most\n";
}

std::string map_name(const CompiledRules& compiled, const Program& program, uint32_t slot) {
  auto reference = std::ranges::find(program.relocations, slot, &Relocation::slot);
  if (reference == program.relocations.end()) return "?";
  auto map = std::ranges::find(compiled.maps, reference->map, &MapSpec::id);
  return map != compiled.maps.end() ? map->name : "?";
}

}  // namespace

std::string listing_of(const CompiledRules& compiled) {
  std::string out;
  for (const MapSpec& map : compiled.maps) out += map_line(map);
  for (size_t i = 0; i < compiled.programs.size(); i++) {
    const Program& program = compiled.programs[i];
    out += "\nprogram " + std::to_string(i) + ", " + program.name + ": " +
           std::to_string(program.code.size()) + " instructions\n";
    auto lines =
        bpf::disassemble(program.code, [&](uint32_t slot) { return map_name(compiled, program, slot); });
    for (const std::string& line : lines) out += line + "\n";
  }
  return out;
}

}  // namespace ksocket::xdp
