// forger SOURCE SOURCE_PORT ADDRESS PORT TEXT...
//
// Sends a UDP datagram over IPv4 for each TEXT, whose source is what it is told: raw(7), which needs
// CAP_NET_RAW.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  udphdr udp{};  // a checksum of 0: none was computed (RFC 768)
  udp.source = htons(static_cast<uint16_t>(std::atoi(argv[2])));
  udp.dest = htons(static_cast<uint16_t>(std::atoi(argv[4])));
  if (inet_pton(AF_INET, argv[1], &ip.saddr) != 1 || inet_pton(AF_INET, argv[3], &ip.daddr) != 1) return 2;
  to.sin_addr.s_addr = ip.daddr;
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  for (int i = 5; i < argc; i++) {
    size_t length = std::strlen(argv[i]);
    ip.tot_len = htons(static_cast<uint16_t>(sizeof ip + sizeof udp + length));
    udp.len = htons(static_cast<uint16_t>(sizeof udp + length));
    std::vector<char> packet(sizeof ip + sizeof udp + length);
    std::memcpy(packet.data(), &ip, sizeof ip);
    std::memcpy(packet.data() + sizeof ip, &udp, sizeof udp);
    std::memcpy(packet.data() + sizeof ip + sizeof udp, argv[i], length);
    if (sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      std::perror("forger");
      return 1;
    }
  }
}
