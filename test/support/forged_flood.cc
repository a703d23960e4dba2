// forged_flood ADDRESS PORT COUNT
//
// Sends COUNT UDP datagrams over IPv4, "ask 0", as fast as it can, each from a source of its own
// below 11.0.0.0: raw(7), which needs CAP_NET_RAW.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  constexpr char kText[] = "ask 0";
  constexpr size_t kLength = sizeof kText - 1;
  struct {
    iphdr ip;
    udphdr udp;
    char text[kLength];
  } __attribute__((packed)) packet{};
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.ttl = 64;
  packet.ip.protocol = IPPROTO_UDP;
  packet.ip.tot_len = htons(sizeof packet);
  packet.udp.source = htons(9999);
  packet.udp.dest = htons(static_cast<uint16_t>(std::atoi(argv[2])));
  packet.udp.len = htons(sizeof packet.udp + kLength);  // no checksum (RFC 768)
  std::memcpy(packet.text, kText, kLength);
  if (inet_pton(AF_INET, argv[1], &packet.ip.daddr) != 1) return 2;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = packet.ip.daddr;
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  long count = std::atol(argv[3]);
  for (long i = 0; i < count; i++) {
    packet.ip.saddr = htonl(0x0b000001 + static_cast<uint32_t>(i));
    if (sendto(fd, &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      std::perror("forged_flood");
      return 1;
    }
  }
}
