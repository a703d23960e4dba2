// Addresses between text, sockaddr and descriptor: any bytes a kernel may leave in a name, and any text.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "core/socket/address.h"
#include "fuzz/support/fuzz.h"

namespace ksocket::fuzz {

namespace {

void check_name(Random& in) {
  auto name = std::make_unique<SockAddr>();
  std::span<const uint8_t> bytes = in.bytes(sizeof name->v6);
  auto* raw = reinterpret_cast<uint8_t*>(&name->v6);
  std::copy(bytes.begin(), bytes.end(), raw);
  uint8_t family = raw[1] != 0 ? 0 : raw[0] == 2 ? 4 : raw[0] == 10 ? 6 : 0;
  // In memory of just the size that the family has.
  size_t size = family == 6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  std::memcpy(exact.get(), raw, size);
  Address address = from_sockaddr(reinterpret_cast<const sockaddr*>(exact.get()));
  must(address.family == family, "a family is known or it is none");
  if (family == 0) return must(address == Address{}, "an unknown family is no address");
  must(address.port == (raw[2] << 8 | raw[3]), "the port");
  must(std::memcmp(address.bytes, raw + (family == 6 ? 8 : 4), family == 6 ? 16 : 4) == 0, "the address");
  uint32_t scope = 0;
  if (family == 6) std::memcpy(&scope, raw + 24, 4);
  must(address.scope_id == scope, "the zone");

  SockAddr back = to_sockaddr(address);
  must(back.length == size && from_sockaddr(&back.any) == address, "a sockaddr says the same");
  Descriptor descriptor;
  std::memset(static_cast<void*>(&descriptor), 0xa5, sizeof descriptor);
  write_address(address, &descriptor);
  must(read_address(descriptor) == address, "a descriptor says the same");
}

// RFC 6943, section 3.1.1: the strict form, four decimal numbers without leading zeroes.
std::optional<std::vector<uint8_t>> ipv4(const std::string& text) {
  std::vector<uint8_t> out;
  for (size_t at = 0; out.size() < 4; at++) {
    size_t begin = at;
    int number = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && at - begin < 4; at++) {
      number = number * 10 + text[at] - '0';
    }
    if (at == begin || number > 255 || (at - begin > 1 && text[begin] == '0')) return std::nullopt;
    out.push_back(static_cast<uint8_t>(number));
    if (out.size() == 4) return at == text.size() ? std::optional(out) : std::nullopt;
    if (at == text.size() || text[at] != '.') return std::nullopt;
  }
  return std::nullopt;
}

// The groups between two "::", or all. An IPv4 address may be the last two.
bool groups(const std::string& text, bool may_end_in_ipv4, std::vector<uint8_t>* out) {
  if (text.empty()) return true;
  for (size_t at = 0;;) {
    size_t end = std::min(text.find(':', at), text.size());
    std::string group = text.substr(at, end - at);
    if (end == text.size() && may_end_in_ipv4 && group.find('.') != group.npos) {
      auto last = ipv4(group);
      if (last) out->insert(out->end(), last->begin(), last->end());
      return last.has_value();
    }
    if (group.empty() || group.size() > 4) return false;
    if (group.find_first_not_of("0123456789abcdefABCDEF") != group.npos) return false;
    unsigned number = std::stoul(group, nullptr, 16);
    out->push_back(static_cast<uint8_t>(number >> 8));
    out->push_back(static_cast<uint8_t>(number));
    if (end == text.size()) return true;
    at = end + 1;
  }
}

// RFC 4291, section 2.2.
std::optional<std::vector<uint8_t>> ipv6(const std::string& text) {
  std::vector<uint8_t> before, behind;
  size_t gap = text.find("::");
  if (gap == text.npos) {
    bool good = groups(text, true, &before) && before.size() == 16;
    return good ? std::optional(before) : std::nullopt;
  }
  if (!groups(text.substr(0, gap), false, &before) || !groups(text.substr(gap + 2), true, &behind))
    return std::nullopt;
  if (before.size() + behind.size() > 14) return std::nullopt;
  before.resize(16 - behind.size());
  before.insert(before.end(), behind.begin(), behind.end());
  return before;
}

std::string some_text(Random& in) {
  constexpr char kCharacters[] = "0123456789abcdefF.:::...::12";
  bool any = in.one_in(4);
  std::string out;
  for (uint8_t byte : in.bytes(in.left())) {
    out += static_cast<char>(any ? byte : kCharacters[byte % (sizeof kCharacters - 1)]);
  }
  return out;
}

void check_text(Random& in) {
  uint8_t family = in.one_in(3) ? 4 : 6;
  auto port = static_cast<uint16_t>(in.below(65536));
  std::string text = some_text(in);
  if (text.find('%') != text.npos) return;  // the system is asked for an interface's name
  auto wanted = family == 4 ? ipv4(text) : ipv6(text);
  Address address, untouched;
  address.port = untouched.port = 1;
  // In memory of just that size, without a 0 behind it.
  std::vector<char> exact(text.begin(), text.end());
  int error = parse_address(family, {exact.data(), exact.size()}, port, &address);
  must((error == 0) == wanted.has_value(), "an address is taken, and nothing else");
  if (error != 0) return must(address == untouched, "what is refused leaves no trace");
  must(address.family == family && address.port == port && address.scope_id == 0, "with its port");
  must(std::equal(wanted->begin(), wanted->end(), address.bytes), "it is that address");
  Address again;
  must(parse_address(family, format_address(address), port, &again) == 0 && again == address,
       "what is written is read as the same");
}

}  // namespace

void run(Random& in) {
  in.one_in(3) ? check_name(in) : check_text(in);
}

}  // namespace ksocket::fuzz
