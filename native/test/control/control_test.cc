#include "core/control/control.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "core/base/kernel_names.h"

namespace ksocket {
namespace {

// Ancillary data as the kernel lays it out, in a buffer of exactly its length: AddressSanitizer guards the
// end.
class Control {
 public:
  template <typename Value>
  Control& add(int level, int type, const Value& value) {
    size_t at = bytes_.size();
    bytes_.resize(at + CMSG_SPACE(sizeof value));
    cmsghdr header{};
    header.cmsg_level = level;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(&bytes_[at], &header, sizeof header);
    std::memcpy(&bytes_[at + CMSG_LEN(0)], &value, sizeof value);
    last_ = at;
    return *this;
  }
  // The latest header claims another length.
  Control& claim(size_t length) {
    std::memcpy(&bytes_[last_ + offsetof(cmsghdr, cmsg_len)], &length, sizeof length);
    return *this;
  }
  Control& cut(size_t length) {
    bytes_.resize(length);
    return *this;
  }

  RxControl decode() const { return decode_bytes(bytes_.data(), bytes_.size()); }

  PacketInfo decode_info() const {
    PacketInfo out;
    std::memset(static_cast<void*>(&out), 0xa5, sizeof out);
    decode_bytes(bytes_.data(), bytes_.size(), &out);
    return out;
  }

  static RxControl decode_bytes(const uint8_t* data, size_t length, PacketInfo* info = nullptr) {
    auto copy = std::make_unique<uint8_t[]>(length);
    if (length > 0) std::memcpy(copy.get(), data, length);
    msghdr header{};
    header.msg_control = copy.get();
    header.msg_controllen = length;
    return decode_control(header, info);
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t last_ = 0;
};

TEST(Cmsg, finds_nothing_where_there_is_nothing) {
  RxControl control = decode_control(msghdr{});
  EXPECT_EQ(control.segment_size, 0);
  EXPECT_FALSE(control.kernel_drops);
}

TEST(Cmsg, reads_the_segment_size_of_gro) {
  RxControl control = Control().add(SOL_UDP, UDP_GRO, int{1400}).decode();
  EXPECT_EQ(control.segment_size, 1400);
  EXPECT_FALSE(control.kernel_drops);
}

// The manual page says int; take what fits in any case.
TEST(Cmsg, reads_a_segment_size_of_two_bytes) {
  EXPECT_EQ(Control().add(SOL_UDP, UDP_GRO, uint16_t{512}).decode().segment_size, 512);
}

TEST(Cmsg, reads_the_kernels_count_of_drops) {
  RxControl control = Control().add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{4'000'000'000}).decode();
  EXPECT_EQ(control.kernel_drops, 4'000'000'000u);
  EXPECT_EQ(control.segment_size, 0);
}

TEST(Cmsg, reads_both_together_in_either_order) {
  for (bool gro_first : {true, false}) {
    Control control;
    if (gro_first) control.add(SOL_UDP, UDP_GRO, int{64});
    control.add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{17});
    if (!gro_first) control.add(SOL_UDP, UDP_GRO, int{64});
    EXPECT_EQ(control.decode().segment_size, 64);
    EXPECT_EQ(control.decode().kernel_drops, 17u);
  }
}

TEST(Cmsg, passes_over_what_it_does_not_know) {
  RxControl control = Control()
                          .add(IPPROTO_IP, IP_TTL, int{64})
                          .add(SOL_SOCKET, SO_TIMESTAMP, timeval{})
                          .add(SOL_UDP, UDP_GRO, int{99})
                          .add(IPPROTO_IP, IP_TOS, uint8_t{3})
                          .add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{5})
                          .decode();
  EXPECT_EQ(control.segment_size, 99);
  EXPECT_EQ(control.kernel_drops, 5u);
}

TEST(Cmsg, does_not_take_the_type_of_another_level) {
  RxControl control =
      Control().add(SOL_SOCKET, UDP_GRO, int{99}).add(SOL_UDP, SO_RXQ_OVFL, uint32_t{5}).decode();
  EXPECT_EQ(control.segment_size, 0);
  EXPECT_FALSE(control.kernel_drops);
}

TEST(Cmsg, fits_everything_the_kernel_says_into_its_buffer) {
  EXPECT_GE(kRxControlBytes,
            CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(timespec)));
}

TEST(Cmsg, reads_the_time_of_receiving) {
  RxControl control = Control()
                          .add(SOL_SOCKET, SO_TIMESTAMPNS, timespec{1'700'000'000, 123'456'789})
                          .add(SOL_UDP, UDP_GRO, int{99})
                          .add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{5})
                          .decode();
  EXPECT_EQ(control.received_ns, 1'700'000'000'123'456'789u);
  EXPECT_EQ(control.segment_size, 99);
  EXPECT_EQ(control.kernel_drops, 5u);
  EXPECT_EQ(Control().add(SOL_SOCKET, SO_TIMESTAMPNS, uint32_t{1}).decode().received_ns, 0u) << "too short";
  EXPECT_EQ(decode_control(msghdr{}).received_ns, 0u);
}

TEST(Cmsg, reads_the_hop_limit_of_either_family) {
  EXPECT_EQ(Control().add(IPPROTO_IP, IP_TTL, int{64}).decode().ttl, 64);
  EXPECT_EQ(Control().add(IPPROTO_IPV6, IPV6_HOPLIMIT, int{255}).decode().ttl, 255);
  EXPECT_EQ(decode_control(msghdr{}).ttl, 0);
  EXPECT_EQ(Control().add(IPPROTO_IPV6, IP_TTL, int{64}).decode().ttl, 0) << "another level's type";
  EXPECT_EQ(Control().add(IPPROTO_IP, IP_TTL, uint16_t{64}).decode().ttl, 0) << "too short";
  RxControl control = Control().add(SOL_UDP, UDP_GRO, int{99}).add(IPPROTO_IP, IP_TTL, int{1}).decode();
  EXPECT_EQ(control.ttl, 1);
  EXPECT_EQ(control.segment_size, 99);
}

TEST(Cmsg, reads_the_traffic_class_of_either_family) {
  EXPECT_EQ(Control().add(IPPROTO_IP, IP_TOS, uint8_t{0xb9}).decode().tos, kTosSaid | 0xb9);
  EXPECT_EQ(Control().add(IPPROTO_IPV6, IPV6_TCLASS, int{3}).decode().tos, kTosSaid | 3);
  EXPECT_EQ(Control().add(IPPROTO_IP, IP_TOS, uint8_t{0}).decode().tos, kTosSaid) << "0 is one, too";
  EXPECT_EQ(Control().add(IPPROTO_IPV6, IPV6_TCLASS, uint16_t{3}).decode().tos, 0) << "too short";
  EXPECT_EQ(decode_control(msghdr{}).tos, 0);
}

TEST(Cmsg, reads_where_a_datagram_was_sent_to) {
  in_pktinfo v4{};
  v4.ipi_ifindex = 3;
  v4.ipi_spec_dst.s_addr = htonl(0x7f000002);
  v4.ipi_addr.s_addr = htonl(0xe0000001);
  PacketInfo info = Control().add(IPPROTO_IP, IP_PKTINFO, v4).decode_info();
  EXPECT_EQ(info.local_family, 4);
  EXPECT_EQ(info.ifindex, 3u);
  EXPECT_EQ(std::memcmp(info.local, &v4.ipi_addr, 4), 0);
  EXPECT_EQ(std::memcmp(info.answer_from, &v4.ipi_spec_dst, 4), 0);
  EXPECT_EQ(info.original_family, 0);

  in6_pktinfo v6{};
  inet_pton(AF_INET6, "fd00::7", &v6.ipi6_addr);
  v6.ipi6_ifindex = 5;
  info = Control().add(IPPROTO_IPV6, IPV6_PKTINFO, v6).decode_info();
  EXPECT_EQ(info.local_family, 6);
  EXPECT_EQ(info.ifindex, 5u);
  EXPECT_EQ(std::memcmp(info.local, &v6.ipi6_addr, 16), 0);
  EXPECT_EQ(std::memcmp(info.answer_from, &v6.ipi6_addr, 16), 0);

  // Of a group nobody can answer from its address.
  inet_pton(AF_INET6, "ff02::1", &v6.ipi6_addr);
  info = Control().add(IPPROTO_IPV6, IPV6_PKTINFO, v6).decode_info();
  Source source;
  EXPECT_FALSE(answer_source(info, &source));

  sockaddr_in before{};
  before.sin_port = htons(53);
  before.sin_addr.s_addr = htonl(0x01020304);
  info = Control().add(IPPROTO_IP, IP_ORIGDSTADDR, before).decode_info();
  EXPECT_EQ(info.original_family, 4);
  EXPECT_EQ(info.original_port, 53);
  EXPECT_EQ(info.local_family, 0);

  EXPECT_EQ(Control().add(IPPROTO_IP, IP_PKTINFO, uint64_t{1}).decode_info().local_family, 0) << "too short";
  EXPECT_EQ(Control().decode_info().local_family, 0) << "what was there is gone";
}

TEST(Cmsg, an_ipv6_socket_has_ipv4_addresses_mapped) {
  in_pktinfo v4{};
  v4.ipi_spec_dst.s_addr = v4.ipi_addr.s_addr = htonl(0x7f000002);
  PacketInfo info = Control().add(IPPROTO_IP, IP_PKTINFO, v4).decode_info();
  map_ipv4(&info);
  uint8_t mapped[16];
  inet_pton(AF_INET6, "::ffff:127.0.0.2", mapped);
  EXPECT_EQ(std::memcmp(info.local, mapped, 16), 0);
  EXPECT_EQ(std::memcmp(info.answer_from, mapped, 16), 0);
  EXPECT_EQ(info.local_family, 6);
  // No address stays none.
  v4.ipi_spec_dst.s_addr = 0;
  info = Control().add(IPPROTO_IP, IP_PKTINFO, v4).decode_info();
  map_ipv4(&info);
  Source source;
  EXPECT_FALSE(answer_source(info, &source));
}

TEST(Cmsg, an_answer_of_a_link_local_address_names_its_link) {
  in6_pktinfo v6{};
  v6.ipi6_ifindex = 5;
  Source source;
  for (const auto& [text, ifindex] :
       {std::pair{"fe80::1", 5u}, {"febf::1", 5u}, {"fec0::1", 0u}, {"fd00::1", 0u}}) {
    inet_pton(AF_INET6, text, &v6.ipi6_addr);
    ASSERT_TRUE(answer_source(Control().add(IPPROTO_IPV6, IPV6_PKTINFO, v6).decode_info(), &source));
    EXPECT_EQ(source.ifindex, ifindex) << text;
  }
}

TEST(Cmsg, ignores_a_value_that_is_too_short) {
  EXPECT_EQ(Control().add(SOL_UDP, UDP_GRO, uint8_t{1}).decode().segment_size, 0);
  EXPECT_FALSE(Control().add(SOL_SOCKET, SO_RXQ_OVFL, uint16_t{1}).decode().kernel_drops);
  EXPECT_FALSE(Control().add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{1}).claim(CMSG_LEN(0)).decode().kernel_drops);
}

TEST(Cmsg, stops_at_a_header_that_claims_less_than_itself) {
  for (size_t claimed : {size_t{0}, size_t{1}, sizeof(cmsghdr) - 1}) {
    RxControl control =
        Control().add(IPPROTO_IP, IP_TTL, int{64}).claim(claimed).add(SOL_UDP, UDP_GRO, int{99}).decode();
    EXPECT_EQ(control.segment_size, 0) << claimed;
  }
}

// Cut anywhere, as by a control buffer that was too short: never a read behind its end.
TEST(Cmsg, reads_nothing_behind_the_end_of_a_short_buffer) {
  Control whole;
  whole.add(SOL_UDP, UDP_GRO, int{1400}).add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{17});
  for (size_t length = 0; length < CMSG_LEN(sizeof(int)); length++) {
    EXPECT_EQ(Control(whole).cut(length).decode().segment_size, 0) << length;
  }
  for (size_t length = CMSG_LEN(sizeof(int)); length < CMSG_SPACE(sizeof(int)) + CMSG_LEN(sizeof(int));
       length++) {
    RxControl control = Control(whole).cut(length).decode();
    EXPECT_EQ(control.segment_size, 1400) << length;
    EXPECT_FALSE(control.kernel_drops) << length;
  }
}

TEST(Cmsg, reads_nothing_behind_the_end_when_a_header_claims_too_much) {
  for (size_t claimed : {size_t{100}, size_t{65536}, SIZE_MAX - 7, SIZE_MAX}) {
    RxControl control = Control().add(SOL_SOCKET, SO_RXQ_OVFL, uint32_t{5}).claim(claimed).decode();
    EXPECT_FALSE(control.kernel_drops) << claimed;
  }
}

TEST(Cmsg, survives_garbage) {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 200'000; i++) {
    bytes.resize(random() % 96);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4 == 0 ? random() : 0);
    // Often enough a plausible header with a wrong length.
    if (bytes.size() >= sizeof(cmsghdr) && i % 2 == 0) {
      constexpr int kLevels[] = {SOL_UDP, SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6};
      constexpr int kTypes[] = {UDP_GRO, SO_RXQ_OVFL, SCM_TIMESTAMPNS, IP_TTL, IPV6_HOPLIMIT};
      cmsghdr header{random() % 128, kLevels[random() % 4], kTypes[random() % 5]};
      std::memcpy(bytes.data(), &header, sizeof header);
    }
    Control::decode_bytes(bytes.data(), bytes.size());  // the sanitizers judge
  }
}

// ---- what we say

TEST(Cmsg, says_the_segment_size_to_the_kernel) {
  alignas(cmsghdr) uint8_t buffer[kTxControlBytes + 1];
  std::memset(buffer, 0xa5, sizeof buffer);
  msghdr header{};
  header.msg_control = buffer;
  append_segment_size(&header, 1200);
  EXPECT_EQ(header.msg_controllen, CMSG_SPACE(sizeof(uint16_t)));
  EXPECT_EQ(buffer[header.msg_controllen], 0xa5);

  const cmsghdr* c = CMSG_FIRSTHDR(&header);
  ASSERT_NE(c, nullptr);
  EXPECT_EQ(c->cmsg_level, SOL_UDP);
  EXPECT_EQ(c->cmsg_type, UDP_SEGMENT);
  EXPECT_EQ(c->cmsg_len, CMSG_LEN(sizeof(uint16_t)));  // udp_cmsg_send wants this length exactly
  uint16_t size;
  std::memcpy(&size, CMSG_DATA(c), sizeof size);
  EXPECT_EQ(size, 1200);
}

TEST(Cmsg, says_one_thing_behind_the_other) {
  alignas(cmsghdr) uint8_t buffer[CMSG_SPACE(sizeof(uint8_t)) + CMSG_SPACE(sizeof(uint32_t))];
  std::memset(buffer, 0xa5, sizeof buffer);
  msghdr header{};
  header.msg_control = buffer;
  append_control(&header, sizeof buffer, SOL_UDP, UDP_GRO, uint8_t{7});
  EXPECT_EQ(header.msg_controllen, CMSG_SPACE(sizeof(uint8_t)));
  append_control(&header, sizeof buffer, SOL_SOCKET, SO_RXQ_OVFL, uint32_t{17});
  EXPECT_EQ(header.msg_controllen, sizeof buffer);

  cmsghdr* first = CMSG_FIRSTHDR(&header);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->cmsg_type, UDP_GRO);
  EXPECT_EQ(*CMSG_DATA(first), 7);
  cmsghdr* second = CMSG_NXTHDR(&header, first);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->cmsg_level, SOL_SOCKET);
  EXPECT_EQ(CMSG_NXTHDR(&header, second), nullptr);
  EXPECT_EQ(decode_control(header).kernel_drops, 17u);
}

}  // namespace
}  // namespace ksocket
