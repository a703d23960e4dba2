#include "core/xdp/load.h"

#include <cerrno>
#include <utility>

#include "core/xdp/bpf_call.h"

namespace ksocket::xdp {

namespace {

int make_map(const MapSpec& spec, std::shared_ptr<Loaded::Map>* out) {
  auto map = std::make_shared<Loaded::Map>(Loaded::Map{Fd(), spec});
  MapShape shape{static_cast<bpf_map_type>(spec.type), spec.key_size, spec.value_size, spec.max_entries,
                 spec.flags};
  if (int error = create_map(shape, spec.name, &map->fd)) return error;
  *out = std::move(map);
  return 0;
}

// As many as the kernel takes at once, else one by one: not every kind of map of every kernel takes many.
int set_all(int map, const MapSpec& spec, const std::vector<const MapEntry*>& entries) {
  std::vector<uint8_t> keys, values;
  for (const MapEntry* entry : entries) {
    keys.insert(keys.end(), entry->key.begin(), entry->key.end());
    values.insert(values.end(), entry->value.begin(), entry->value.end());
  }
  bool is_whole = keys.size() == entries.size() * spec.key_size;
  auto count = static_cast<uint32_t>(entries.size());
  if (count > 1 && is_whole && set_elements(map, keys.data(), values.data(), &count) == 0) return 0;
  for (const MapEntry* entry : entries) {
    if (int error = set_element(map, entry->key.data(), entry->value.data())) return error;
  }
  return 0;
}

int fill_maps(const CompiledRules& rules, const Kept& kept, const Loaded& loaded) {
  std::array<std::vector<const MapEntry*>, static_cast<size_t>(MapId::kCount)> by_map;
  for (const MapEntry& entry : rules.entries) by_map[static_cast<size_t>(entry.map)].push_back(&entry);
  for (size_t i = 0; i < by_map.size(); i++) {
    const auto& map = loaded.maps[i];
    if (!map || by_map[i].empty()) continue;
    if (kept.maps[i] == map) continue;
    if (int error = set_all(map->fd.get(), map->spec, by_map[i])) return error;
  }
  return 0;
}

int load_one(const Program& program, const Loaded& loaded, Fd* out, std::string* log) {
  std::vector<bpf_insn> code = program.code;
  for (const Relocation& relocation : program.relocations) {
    const auto& map = loaded.map(relocation.map);
    if (!map || relocation.slot >= code.size()) return -EINVAL;
    code[relocation.slot].imm = map->fd.get();
  }
  return load_program(code, program.name.c_str(), out, log);
}

}  // namespace

int load(const CompiledRules& rules, const Kept& kept, Loaded* out, std::string* log) {
  for (const MapSpec& spec : rules.maps) {
    auto at = static_cast<size_t>(spec.id);
    if (kept.maps[at] && kept.maps[at]->spec == spec)
      out->maps[at] = kept.maps[at];
    else if (int error = make_map(spec, &out->maps[at]))
      return error;
  }
  if (int error = fill_maps(rules, kept, *out)) return error;
  for (const Program& program : rules.programs) {
    if (int error = load_one(program, *out, &out->programs.emplace_back(), log)) return error;
  }
  if (!rules.programs.empty()) {
    if (int error = load_one(rules.left, *out, &out->left, log)) return error;
  }
  const auto& chain = out->map(MapId::programs);
  for (uint32_t i = 1; chain && i < out->programs.size(); i++) {
    int32_t program = out->programs[i].get();
    if (int error = set_element(chain->fd.get(), &i, &program)) return error;
  }
  return 0;
}

}  // namespace ksocket::xdp
