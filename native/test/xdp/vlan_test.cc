// Tags of VLANs that are not in the frame: a card has taken them off, or a cable has never had them put on.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/bpf/ebpf_assembler.h"
#include "core/xdp/interfaces.h"
#include "support/own_network.h"
#include "support/xdp_frames.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

constexpr uint16_t kPort = 2325, kVlan = 10;
constexpr uint8_t kLocal[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};

int bpf(bpf_cmd command, bpf_attr* attributes) {
  return static_cast<int>(syscall(__NR_bpf, command, attributes, sizeof *attributes));
}

// Puts what leaves by the interface into a VLAN, as a device of that VLAN would; -1: this kernel cannot.
Fd tag_what_leaves(uint32_t ifindex) {
  constexpr auto kVlanPush = static_cast<bpf::Helper>(18);
  constexpr uint32_t kTcxEgress = 47;
  bpf::EbpfAssembler out;
  out.move(bpf::Register::r2, htons(ETH_P_8021Q));
  out.move(bpf::Register::r3, kVlan);
  out.call(kVlanPush);
  out.move(bpf::Register::r0, -1);  // TCX_NEXT
  out.exit();
  auto program = out.finish();
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = reinterpret_cast<uintptr_t>(program->code.data());
  attributes.insn_cnt = static_cast<uint32_t>(program->code.size());
  attributes.license = reinterpret_cast<uintptr_t>("GPL");
  attributes.expected_attach_type = static_cast<bpf_attach_type>(kTcxEgress);
  Fd loaded(bpf(BPF_PROG_LOAD, &attributes));
  std::memset(&attributes, 0, sizeof attributes);
  attributes.link_create.prog_fd = static_cast<uint32_t>(loaded.get());
  attributes.link_create.target_ifindex = ifindex;
  attributes.link_create.attach_type = kTcxEgress;
  return Fd(loaded ? bpf(BPF_LINK_CREATE, &attributes) : -1);
}

// What comes in by an interface, from now on.
Fd watch(uint32_t ifindex) {
  Fd out(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  sockaddr_ll name{};
  name.sll_family = AF_PACKET;
  name.sll_protocol = htons(ETH_P_ALL);
  name.sll_ifindex = static_cast<int>(ifindex);
  EXPECT_EQ(bind(out.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  int yes = 1;
  EXPECT_EQ(setsockopt(out.get(), SOL_PACKET, PACKET_AUXDATA, &yes, sizeof yes), 0);
  timeval patience{3, 0};
  setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return out;
}

// The VLAN of the next datagram from the server; 0: none, -1: nothing comes.
int vlan_of_answer(int fd) {
  for (;;) {
    uint8_t frame[2048];
    alignas(cmsghdr) char control[256];
    iovec place{frame, sizeof frame};
    msghdr message{};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t length = recvmsg(fd, &message, 0);
    if (length < 0) return -1;
    bool is_answer = length > 42 && frame[23] == 17 && frame[34] == kPort >> 8 && frame[35] == (kPort & 0xff);
    if (!is_answer) continue;
    tpacket_auxdata more{};
    std::memcpy(&more, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof more);
    return more.tp_status & TP_STATUS_VLAN_VALID ? more.tp_vlan_tci : 0;
  }
}

std::array<uint8_t, 6> hardware_of(const char* name) {
  std::vector<Interface> all;
  EXPECT_EQ(list_interfaces(&all), 0);
  for (const Interface& each : all) {
    if (each.name == name) return each.hardware;
  }
  return {};
}

TEST(XdpVlan, what_generic_programs_answer_leaves_by_the_vlan_that_it_came_by) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  std::string why = test::in_own_network([] {
    if (std::system("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up") != 0)
      GTEST_SKIP() << "needs `ip` and veth";
    uint32_t ours = if_nametoindex("v0"), theirs = if_nametoindex("v1");
    test::XdpKernel kernel(compile({{}, rules::Action::echo, 0}, {}, {.port = kPort}));
    kernel.enter_by({.hardware = hardware_of("v0"), .ways = {{0, {.port = kPort}}}});
    kernel.set_address(kLocal, kAddressLocal | kAddressServed);
    Fd link = kernel.attach(ours, false), watcher = watch(theirs);
    ASSERT_TRUE(link) << kernel.error();
    test::Frame frame;
    frame.hardware_to = hardware_of("v0");
    frame.hardware_from = hardware_of("v1");
    frame.payload = {'?'};
    frame.source = {10, 0, 0, 2};
    frame.local = {10, 0, 0, 1};
    frame.source_port = 4000;
    frame.local_port = kPort;
    std::vector<uint8_t> bytes = frame.bytes();
    ASSERT_EQ(send(watcher.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(vlan_of_answer(watcher.get()), 0);
    Fd tags = tag_what_leaves(theirs);
    if (!tags) GTEST_SKIP() << "a kernel without BPF_TCX_EGRESS";
    ASSERT_EQ(send(watcher.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(vlan_of_answer(watcher.get()), kVlan);
    EXPECT_EQ(kernel.counters().answered, 2u);
  });
  if (!why.empty()) GTEST_SKIP() << why;
}

}  // namespace
}  // namespace ksocket::xdp
