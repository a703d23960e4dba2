#include "core/answer/rules/payload_trie.h"

namespace ksocket::rules {

// A node whose keys are known, but not yet what is below it. The keys from `begin` to `end` have the first
// `depth` bytes in common.
struct PayloadTrie::Pending {
  uint32_t node;
  size_t begin, end;
  size_t depth;
};

namespace {

// By bytes, then by rule.
bool comes_before(const PayloadTrie::Key& a, const PayloadTrie::Key& b) {
  size_t common = std::min(a.bytes.size(), b.bytes.size());
  int order = common > 0 ? std::memcmp(a.bytes.data(), b.bytes.data(), common) : 0;
  if (order != 0) return order < 0;
  if (a.bytes.size() != b.bytes.size()) return a.bytes.size() < b.bytes.size();
  return a.rule < b.rule;
}

}  // namespace

PayloadTrie::PayloadTrie(std::vector<Key> keys) {
  std::ranges::sort(keys, comes_before);
  build(keys);
}

// With a list of what is to do instead of recursion: a tree may be as deep as its longest key.
void PayloadTrie::build(const std::vector<Key>& keys) {
  nodes_.emplace_back();
  first_bytes_.push_back(0);
  std::vector<Pending> pending{{0, 0, keys.size(), 0}};
  while (!pending.empty()) {
    Pending work = pending.back();
    pending.pop_back();
    if (work.begin == work.end) break;  // no keys at all

    // What the first and the last of sorted keys have in common, all of them have.
    std::span<const uint8_t> first = keys[work.begin].bytes, last = keys[work.end - 1].bytes;
    size_t depth = work.depth;
    while (depth < first.size() && depth < last.size() && first[depth] == last[depth]) depth++;
    Node& node = nodes_[work.node];
    node.label = static_cast<uint32_t>(labels_.size());
    node.label_size = static_cast<uint32_t>(depth - work.depth);
    labels_.insert(labels_.end(), first.begin() + work.depth, first.begin() + depth);

    node.rules = static_cast<uint32_t>(rules_.size());
    for (; work.begin < work.end && keys[work.begin].bytes.size() == depth; work.begin++) {
      rules_.push_back(keys[work.begin].rule);
    }
    node.rules_size = static_cast<uint32_t>(rules_.size()) - node.rules;
    work.depth = depth;
    add_children(keys, work, &pending);
  }

  for (size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    if (node.rules_size > 0) node.rule_first = rules_[node.rules];
    for (uint32_t below = 0; below < node.children_size; below++) {
      node.rule_first = std::min(node.rule_first, nodes_[node.children + below].rule_first);
    }
  }
}

// A child for each byte that the keys go on with.
void PayloadTrie::add_children(const std::vector<Key>& keys, const Pending& work,
                               std::vector<Pending>* pending) {
  uint32_t children = static_cast<uint32_t>(nodes_.size());
  for (size_t begin = work.begin; begin < work.end;) {
    uint8_t byte = keys[begin].bytes[work.depth];
    auto is_same = [&](const Key& key) { return key.bytes[work.depth] == byte; };
    auto end = std::partition_point(keys.begin() + begin, keys.begin() + work.end, is_same);
    pending->push_back(
        {static_cast<uint32_t>(nodes_.size()), begin, static_cast<size_t>(end - keys.begin()), work.depth});
    nodes_.emplace_back();
    first_bytes_.push_back(byte);
    begin = pending->back().end;
  }
  nodes_[work.node].children = children;
  nodes_[work.node].children_size = static_cast<uint32_t>(nodes_.size()) - children;
}

}  // namespace ksocket::rules
