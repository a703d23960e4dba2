// Which rules may match, by how the payload begins: a radix tree (Patricia trie) over bytes. A node stands
// for all bytes from the root to it; rules hang on the node that their payload ends at. Walking costs what of
// the payload is matched, however many rules there are:
//
//         ┌─"ET /"─▶ #2
//   "G" ──┤                            "GET /" #2, "GO" #0, "GO!" #1 and #5
//         └─"O"────▶ #0 ──"!"─▶ #1 #5
//
// Immutable once built: any thread may walk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ksocket::rules {

class PayloadTrie {
 public:
  struct Key {
    std::span<const uint8_t> bytes;  // needed only while the trie is built
    uint32_t rule;
  };
  explicit PayloadTrie(std::vector<Key> keys);

  // Calls visit(rules) for each node whose bytes `payload` begins with, from the root down; the rules of a
  // node are in ascending order. Nodes below which there is none before `*limit` are left out: visit may
  // lower it.
  template <class Visit>
  void walk(std::span<const uint8_t> payload, const uint32_t* limit, Visit&& visit) const {
    uint32_t at = 0;
    while (nodes_[at].rule_first < *limit) {
      const Node& node = nodes_[at];
      if (payload.size() < node.label_size) return;
      // An empty label has nothing to compare, and memcmp(3) takes no null pointers.
      if (node.label_size > 0 && std::memcmp(payload.data(), &labels_[node.label], node.label_size) != 0)
        return;
      payload = payload.subspan(node.label_size);
      if (node.rules_size > 0) visit(std::span(rules_).subspan(node.rules, node.rules_size));
      if (payload.empty() || node.children_size == 0) return;
      at = child(node, payload[0]);
      if (at == 0) return;
    }
  }

 private:
  struct Node {
    uint32_t label = 0;  // in labels_
    uint32_t label_size = 0;
    uint32_t rules = 0;  // in rules_
    uint32_t rules_size = 0;
    uint32_t children = 0;  // in nodes_, side by side, ordered by the first byte of their labels
    uint32_t children_size = 0;
    uint32_t rule_first = UINT32_MAX;  // the first rule here or below
  };

  // 0, the root, when there is none.
  uint32_t child(const Node& node, uint8_t byte) const {
    const uint8_t* begin = first_bytes_.data() + node.children;
    const uint8_t* end = begin + node.children_size;
    const uint8_t* found = std::lower_bound(begin, end, byte);
    return found != end && *found == byte ? static_cast<uint32_t>(found - first_bytes_.data()) : 0;
  }

  struct Pending;
  void build(const std::vector<Key>& keys);
  void add_children(const std::vector<Key>& keys, const Pending& work, std::vector<Pending>* pending);

  std::vector<Node> nodes_;  // the root first, parents before children
  std::vector<uint8_t>
      first_bytes_;  // of each node's label, apart from the nodes: one cache line finds a child
  std::vector<uint8_t> labels_;
  std::vector<uint32_t> rules_;
};

}  // namespace ksocket::rules
