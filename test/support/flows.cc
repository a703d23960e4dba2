// Clients of a forwarder and its back end in one program: sends numbered datagrams from many sockets at a
// steady rate, answers each at the back end, and says at the end what was lost, came twice, or came through
// another flow. What comes from another run, whose ports are this one's by now, is nothing of that.
//
//   flows SERVER_PORT CLIENTS RATE   prints "port N" (the back end's), reads a line, runs until its input
//   ends
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

struct Datagram {
  uint64_t run;
  uint32_t client;
  uint32_t number;
};

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  out.sin_port = htons(port);
  return out;
}

int open_socket() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  int bytes = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    perror("socket");
    exit(1);
  }
  return fd;
}

// How often each number has come.
struct Seen {
  std::vector<uint8_t> counts;
  uint64_t twice = 0;
  void add(uint32_t number) {
    if (number >= counts.size()) counts.resize(number + (1 << 20));
    if (counts[number]++ > 0) twice++;
  }
  uint64_t missing(uint32_t all) const {
    uint64_t out = 0;
    for (uint32_t i = 0; i < all; i++) out += i >= counts.size() || counts[i] == 0;
    return out;
  }
};

std::atomic<bool> ending{false};

struct BackEnd {
  int fd;
  uint64_t run_id;
  std::vector<uint16_t> ports;  // of each client's flow
  uint64_t moved = 0;
  Seen seen;

  void run() {
    while (!ending) {
      pollfd ready{fd, POLLIN, 0};
      poll(&ready, 1, 50);
      Datagram datagram;
      sockaddr_in from;
      socklen_t length = sizeof from;
      while (recvfrom(fd, &datagram, sizeof datagram, 0, reinterpret_cast<sockaddr*>(&from), &length) ==
             static_cast<ssize_t>(sizeof datagram)) {
        if (datagram.run != run_id) continue;
        seen.add(datagram.number);
        uint16_t& port = ports.at(datagram.client);
        if (port != 0 && port != from.sin_port) moved++;
        port = from.sin_port;
        sendto(fd, &datagram, sizeof datagram, 0, reinterpret_cast<sockaddr*>(&from), length);
      }
    }
  }
};

}  // namespace

int main(int, char** arguments) {
  auto clients = static_cast<uint32_t>(atoi(arguments[2]));
  double rate = atof(arguments[3]);
  uint64_t run_id = now_ns();  // no other run of this machine has it
  BackEnd back_end{open_socket(), run_id, std::vector<uint16_t>(clients), 0, {}};
  sockaddr_in own;
  socklen_t length = sizeof own;
  getsockname(back_end.fd, reinterpret_cast<sockaddr*>(&own), &length);
  printf("port %d\n", ntohs(own.sin_port));
  fflush(stdout);
  char line[64];
  if (fgets(line, sizeof line, stdin) == nullptr) return 1;  // the server is there
  sockaddr_in server =
      loopback(static_cast<uint16_t>(atoi(arguments[1]) != 0 ? atoi(arguments[1]) : atoi(line)));

  std::vector<int> sockets;
  for (uint32_t i = 0; i < clients; i++) sockets.push_back(open_socket());
  std::thread answering([&] { back_end.run(); });

  Seen answers;
  uint32_t sent = 0, looked = 0;
  auto look = [&](uint32_t client) {
    Datagram answer;
    while (recv(sockets[client], &answer, sizeof answer, 0) == static_cast<ssize_t>(sizeof answer)) {
      if (answer.run == run_id) answers.add(answer.number);
    }
  };
  uint64_t begin = now_ns();
  for (bool more = true; more;) {
    auto due = static_cast<uint32_t>(static_cast<double>(now_ns() - begin) * rate / 1e9);
    if (due > sent + 200) {  // this machine has slept: never all at once
      begin = now_ns() - static_cast<uint64_t>(static_cast<double>(sent + 200) * 1e9 / rate);
      due = sent + 200;
    }
    for (; sent < due; sent++) {
      Datagram datagram{run_id, sent % clients, sent};
      if (sendto(sockets[datagram.client], &datagram, sizeof datagram, 0,
                 reinterpret_cast<sockaddr*>(&server), sizeof server) < 0) {
        perror("sendto");
        return 1;
      }
      look(looked++ % clients);
    }
    pollfd input{STDIN_FILENO, POLLIN, 0};
    timespec pause{0, 100'000};
    nanosleep(&pause, nullptr);
    more = poll(&input, 1, 0) == 0;
  }
  for (int i = 0; i < 20; i++) {
    usleep(50'000);
    for (uint32_t client = 0; client < clients; client++) look(client);
  }
  ending = true;
  answering.join();
  printf(
      "sent %u lost %llu twice %llu moved %llu unanswered %llu answered-twice %llu\n", sent,
      static_cast<unsigned long long>(back_end.seen.missing(sent)),
      static_cast<unsigned long long>(back_end.seen.twice), static_cast<unsigned long long>(back_end.moved),
      static_cast<unsigned long long>(answers.missing(sent)), static_cast<unsigned long long>(answers.twice));
  return 0;
}
