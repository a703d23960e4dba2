#include "core/answer/protection/filter.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "core/bpf/assembler.h"

namespace ksocket {

namespace {

// A number as BPF compares it: 32 bits at a time, the most significant first. IPv4 uses the first word.
using Words = std::array<uint32_t, 4>;

Words words_of(uint32_t ipv4) {
  return {ipv4};
}
Words words_of(Ipv6Number ipv6) {
  return {static_cast<uint32_t>(ipv6.high >> 32), static_cast<uint32_t>(ipv6.high),
          static_cast<uint32_t>(ipv6.low >> 32), static_cast<uint32_t>(ipv6.low)};
}

bool is_last(uint32_t ipv4) {
  return ipv4 == UINT32_MAX;
}
bool is_last(Ipv6Number ipv6) {
  return ipv6 == Ipv6Number{UINT64_MAX, UINT64_MAX};
}
uint32_t following(uint32_t ipv4) {
  return ipv4 + 1;
}
// Without the IPv4-mapped ones, which are judged as IPv4.
Ipv6Number following(Ipv6Number ipv6) {
  return ipv6.next() == kMappedFirst ? kMappedLast.next() : ipv6.next();
}

// What becomes of all addresses of a family: a line on which the verdict changes at each of `changes`.
struct Verdicts {
  bool first_passes;           // the lowest address, and those up to the first change
  std::vector<Words> changes;  // ascending

  bool after(size_t changes_passed) const { return first_passes == (changes_passed % 2 == 0); }
  bool all_pass() const { return first_passes && changes.empty(); }
};

template <typename Number>
Verdicts judge(const AddressSet& deny, const AddressSet* allow,
               std::span<const AddressRange<Number>> (AddressSet::*ranges)() const) {
  std::vector<Number> points;
  for (const AddressSet* list : {&deny, allow}) {
    if (list == nullptr) continue;
    for (const AddressRange<Number>& range : (list->*ranges)()) {
      points.push_back(range.first);
      if (!is_last(range.last)) points.push_back(following(range.last));
    }
  }
  std::sort(points.begin(), points.end());

  auto passes = [&](Number number) {
    return !deny.contains(number) && (allow == nullptr || allow->contains(number));
  };
  Verdicts out{passes(Number{}), {}};
  for (Number point : points) {
    if (passes(point) != out.after(out.changes.size())) out.changes.push_back(words_of(point));
  }
  return out;
}

constexpr uint16_t kLoadWord = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;

// A UDP socket's filter sees the datagram from the UDP header on; what lies before is loaded relative to
// SKF_NET_OFF (bpf_internal_load_pointer_neg_helper() in the kernel).
constexpr uint32_t from_network_header(uint32_t offset) {
  return static_cast<uint32_t>(SKF_NET_OFF) + offset;
}
constexpr uint32_t kIpv4Source = from_network_header(12);
constexpr uint32_t ipv6_source_word(size_t word) {
  return from_network_header(8 + 4 * static_cast<uint32_t>(word));
}

// A binary search for the verdict, a word at a time.
class Search {
 public:
  Search(bpf::Assembler& out, const Verdicts& verdicts) : out_(out), verdicts_(verdicts) {}

  // The first word of the address is in the accumulator.
  bpf::Label write() { return write(0, verdicts_.changes.size(), 0); }

 private:
  // Decides between the changes `begin` … `end`, which agree with the address in what is before `word`.
  bpf::Label write(size_t begin, size_t end, size_t word) {
    if (begin == end) return out_.verdict(verdicts_.after(begin));
    const std::vector<Words>& changes = verdicts_.changes;
    uint32_t middle = changes[begin + (end - begin) / 2][word];
    size_t equal = find(begin, end, [&](const Words& change) { return change[word] >= middle; });
    size_t above = find(equal, end, [&](const Words& change) { return change[word] > middle; });

    bpf::Label at_least = write(above, end, word);
    // A change whose other words are 0 has been passed by every address with this word.
    size_t undecided = is_zero_after(changes[equal], word) ? equal + 1 : equal;
    if (undecided < above) {
      bpf::Label rest = write(undecided, above, word + 1);
      at_least =
          out_.branch(BPF_JEQ, middle, out_.statement(kLoadWord, ipv6_source_word(word + 1), rest), at_least);
    }
    return out_.branch(BPF_JGE, middle, at_least, write(begin, equal, word));
  }

  // The first change from `begin` on that `matches`, and so do all behind it.
  template <typename Matches>
  size_t find(size_t begin, size_t end, Matches&& matches) const {
    auto at = verdicts_.changes.begin();
    auto found = std::partition_point(at + static_cast<ptrdiff_t>(begin), at + static_cast<ptrdiff_t>(end),
                                      [&](const Words& change) { return !matches(change); });
    return static_cast<size_t>(found - at);
  }

  static bool is_zero_after(const Words& words, size_t word) {
    return std::all_of(words.begin() + static_cast<ptrdiff_t>(word) + 1, words.end(),
                       [](uint32_t w) { return w == 0; });
  }

  bpf::Assembler& out_;
  const Verdicts& verdicts_;
};

}  // namespace

std::vector<sock_filter> compile_filter(const AddressSet& deny, const AddressSet* allow, uint8_t family) {
  Verdicts ipv4 = judge<uint32_t>(deny, allow, &AddressSet::ipv4);
  Verdicts ipv6;
  if (family == 6) ipv6 = judge<Ipv6Number>(deny, allow, &AddressSet::ipv6);
  bool all_pass = ipv4.all_pass() && (family == 4 || ipv6.all_pass());
  // Every change is an instruction at least.
  if (all_pass || ipv4.changes.size() + ipv6.changes.size() > BPF_MAXINSNS) return {};

  bpf::Assembler out;
  bpf::Label search_ipv4 = Search(out, ipv4).write();
  bpf::Label start = out.statement(kLoadWord, kIpv4Source, search_ipv4);
  if (family == 6) {
    bpf::Label from_ipv4 = start;
    bpf::Label search_ipv6 = Search(out, ipv6).write();
    bpf::Label from_ipv6 = out.statement(kLoadWord, ipv6_source_word(0), search_ipv6);
    // ::ffff:a.b.c.d is IPv4.
    bpf::Label mapped = out.statement(kLoadWord, ipv6_source_word(3), search_ipv4);
    for (uint32_t word = 3; word-- > 0;) {
      mapped = out.branch(BPF_JEQ, word == 2 ? 0xffff : 0, mapped, from_ipv6);
      mapped = out.statement(kLoadWord, ipv6_source_word(word), mapped);
    }
    bpf::Label version = out.branch(BPF_JEQ, 4, from_ipv4, mapped);
    version = out.statement(BPF_ALU | BPF_RSH | BPF_K, 4, version);
    start = out.statement(kLoadByte, from_network_header(0), version);
  }
  if (out.size() > BPF_MAXINSNS) return {};
  return std::move(out).finish();
}

}  // namespace ksocket
