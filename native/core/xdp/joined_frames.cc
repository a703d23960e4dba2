#include "core/xdp/joined_frames.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace ksocket::xdp {

namespace {

constexpr uint16_t kMagic = 0xeb9f;
constexpr uint32_t kStruct = 4, kUnion = 5;
constexpr int kDepthMax = 4;
// SMP_CACHE_BYTES of x86-64 and arm64: what SKB_DATA_ALIGN rounds up to.
constexpr uint32_t kCacheLine = 64;

struct Header {
  uint16_t magic;
  uint8_t version, flags;
  uint32_t header_bytes, types, types_bytes, strings, strings_bytes;
};

struct Type {
  uint32_t name, info, size;

  uint32_t kind() const { return info >> 24 & 0x1f; }
  uint32_t members() const { return info & 0xffff; }
  // What follows it.
  uint32_t more_bytes() const {
    switch (kind()) {
      case 1:   // an integer
      case 14:  // a variable
      case 17:  // a tag of a declaration
        return 4;
      case 3:  // an array
        return 12;
      case kStruct:
      case kUnion:
      case 15:  // a section
      case 19:  // an enumeration of 64 bits
        return 12 * members();
      case 6:   // an enumeration
      case 13:  // a function's parameters
        return 8 * members();
      default:
        return 0;
    }
  }
};

struct Member {
  uint32_t name, type, bit;
};

class Types {
 public:
  static std::optional<Types> read(std::span<const uint8_t> btf) {
    Header header;
    if (btf.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, btf.data(), sizeof header);
    if (header.magic != kMagic || header.header_bytes > btf.size()) return std::nullopt;
    std::span<const uint8_t> rest = btf.subspan(header.header_bytes);
    auto is_inside = [&](uint32_t at, uint32_t bytes) {
      return at <= rest.size() && bytes <= rest.size() - at;
    };
    if (!is_inside(header.types, header.types_bytes) || !is_inside(header.strings, header.strings_bytes))
      return std::nullopt;
    return Types(rest.subspan(header.types, header.types_bytes),
                 rest.subspan(header.strings, header.strings_bytes));
  }

  // visit(type, what follows it) until it says true.
  template <class Visit>
  bool find(Visit&& visit) const {
    for (std::span<const uint8_t> left = types_; left.size() >= sizeof(Type);) {
      Type type;
      std::memcpy(&type, left.data(), sizeof type);
      left = left.subspan(sizeof type);
      if (type.more_bytes() > left.size()) return false;
      if (visit(type, left.first(type.more_bytes()))) return true;
      left = left.subspan(type.more_bytes());
    }
    return false;
  }

  bool is_called(uint32_t name, std::string_view wanted) const {
    if (name >= strings_.size() || wanted.size() >= strings_.size() - name) return false;
    const auto* text = reinterpret_cast<const char*>(strings_.data() + name);
    return std::string_view(text, wanted.size()) == wanted && text[wanted.size()] == '\0';
  }

  struct Struct {
    Type type;
    std::span<const uint8_t> members;
  };
  std::optional<Struct> struct_of(std::string_view name) const {
    std::optional<Struct> out;
    find([&](const Type& type, std::span<const uint8_t> members) {
      if (type.kind() != kStruct || !is_called(type.name, name)) return false;
      out = {type, members};
      return true;
    });
    return out;
  }

  // Types are numbered from 1 on.
  std::optional<Struct> numbered(uint32_t number) const {
    std::optional<Struct> out;
    find([&](const Type& type, std::span<const uint8_t> members) {
      if (--number > 0) return false;
      if (type.kind() == kStruct || type.kind() == kUnion) out = {type, members};
      return true;
    });
    return out;
  }

  // Of a member, also of one of a struct or union without a name in it.
  std::optional<uint32_t> offset_of(const Struct& of, std::string_view name, int depth = 0) const {
    for (uint32_t i = 0; i < of.type.members(); i++) {
      Member member;
      std::memcpy(&member, of.members.data() + i * sizeof member, sizeof member);
      uint32_t offset = (member.bit & 0xffffff) / 8;
      if (is_called(member.name, name)) return offset;
      if (!is_called(member.name, "") || depth == kDepthMax) continue;
      std::optional<Struct> inner = numbered(member.type);
      std::optional<uint32_t> inside = inner ? offset_of(*inner, name, depth + 1) : std::nullopt;
      if (inside) return offset + *inside;
    }
    return std::nullopt;
  }

 private:
  Types(std::span<const uint8_t> types, std::span<const uint8_t> strings)
      : types_(types), strings_(strings) {}

  std::span<const uint8_t> types_, strings_;
};

}  // namespace

std::optional<JoinedFrames> joined_frames_of(std::span<const uint8_t> btf) {
  std::optional<Types> types = Types::read(btf);
  if (!types) return std::nullopt;
  auto buffer = types->struct_of("xdp_buff"), shared = types->struct_of("skb_shared_info");
  if (!buffer || !shared) return std::nullopt;
  auto start = types->offset_of(*buffer, "data_hard_start"), bytes = types->offset_of(*buffer, "frame_sz");
  auto joined = types->offset_of(*shared, "gso_size");
  if (!start || !bytes || !joined) return std::nullopt;
  uint32_t aligned = (shared->type.size + kCacheLine - 1) / kCacheLine * kCacheLine;
  bool sane = *start <= 64 && *bytes <= 64 && aligned <= 4096 && *joined < aligned;
  if (!sane) return std::nullopt;
  return JoinedFrames{*start, *bytes, aligned - *joined};
}

std::optional<JoinedFrames> joined_frames() {
#if defined(__x86_64__) || defined(__aarch64__)
  Fd file(open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::vector<uint8_t> btf;
  for (ssize_t count = 1; count > 0;) {
    size_t size = btf.size();
    btf.resize(size + (1 << 20));
    count = read(file.get(), btf.data() + size, 1 << 20);
    btf.resize(size + static_cast<size_t>(count > 0 ? count : 0));
  }
  return joined_frames_of(btf);
#else
  return std::nullopt;
#endif
}

}  // namespace ksocket::xdp
