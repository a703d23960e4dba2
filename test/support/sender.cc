// sender PORT COUNT BYTES [RATE [AHEAD [FIRST]]]
//
// Sends COUNT numbered datagrams of BYTES bytes to 127.0.0.1:PORT (0: until killed), RATE a second (0: as
// fast as it can), in bursts a few times a millisecond. The first four bytes are the number (little endian),
// byte i > 3 is the low byte of number + i. With AHEAD it waits while more than so many bytes lie in the
// receiver's kernel buffer, as /proc/net/udp says: then what is lost is not the kernel's loss, however busy
// the machine is.
#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

long buffered_bytes(unsigned port) {
  FILE* file = std::fopen("/proc/net/udp", "r");
  if (!file) return 0;
  char line[512];
  long most = 0;
  while (std::fgets(line, sizeof line, file)) {
    unsigned local_port = 0;
    unsigned long rx = 0;
    if (std::sscanf(line, " %*d: %*x:%x %*x:%*x %*x %*x:%lx", &local_port, &rx) == 2 && local_port == port) {
      most = std::max(most, static_cast<long>(rx));
    }
  }
  std::fclose(file);
  return most;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 125;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no flood outlives its test
  auto argument = [&](int i) { return i < argc ? std::atol(argv[i]) : 0; };
  unsigned port = static_cast<unsigned>(argument(1));
  const uint64_t count = argument(2) > 0 ? static_cast<uint64_t>(argument(2)) : UINT64_MAX;
  std::vector<uint8_t> payload(static_cast<size_t>(argument(3)));
  const double rate = static_cast<double>(argument(4));
  const long ahead = argument(5);
  const uint32_t first = static_cast<uint32_t>(argument(6));

  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::printf("started\n");
  std::fflush(stdout);

  const auto start = Clock::now();
  uint64_t sent = 0;
  while (sent < count) {
    uint64_t due = sent + 64;
    if (rate > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(400));
      double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
      due =
          std::min(static_cast<uint64_t>(elapsed * rate), sent + 100);  // late is late: no bursts to catch up
    }
    if (ahead > 0) {
      while (buffered_bytes(port) > ahead) std::this_thread::sleep_for(std::chrono::microseconds(200));
      // The kernel charges a buffer for more than the payload; at most about as much again as `ahead` at
      // once.
      due = std::min(due,
                     sent + std::max<uint64_t>(1, static_cast<uint64_t>(ahead) / (2 * payload.size() + 768)));
    }
    for (due = std::min(due, count); sent < due; sent++) {
      uint32_t number = first + static_cast<uint32_t>(sent);
      for (size_t i = 4; i < payload.size(); i++) payload[i] = static_cast<uint8_t>(number + i);
      std::memcpy(payload.data(), &number, std::min<size_t>(4, payload.size()));
      sendto(fd, payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
  }
  std::printf("sent %llu\n", static_cast<unsigned long long>(sent));
}
