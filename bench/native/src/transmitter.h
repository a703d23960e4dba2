#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "net.h"
#include "tally.h"

namespace loadgen {

struct TransmitOptions {
  size_t size = 64;        // payload bytes of a datagram
  size_t segments = 1;     // datagrams that one GSO send carries; 1: no GSO
  size_t sources = 1;      // source addresses, 127.x.y.z
  size_t batch = 64;       // messages of one sendmmsg
  bool connected = false;  // one destination, known to the socket
  std::string host = other_host();
  std::vector<uint16_t> ports;  // destinations, taken in turn
};

// A prepared cycle of messages, sent over and over: nothing is computed per datagram.
class Transmitter {
 public:
  explicit Transmitter(const TransmitOptions& options);

  void send_batch(Tally& tally);
  size_t segments() const { return segments_; }

 private:
  size_t size_;
  size_t segments_;
  size_t batch_;
  size_t next_ = 0;
  Fd fd_;
  std::vector<char> payload_;
  std::vector<sockaddr_in> destinations_;
  std::vector<char> controls_;  // one IP_PKTINFO each, when there is more than one source
  iovec data_;
  std::vector<mmsghdr> messages_;
};

}  // namespace loadgen
