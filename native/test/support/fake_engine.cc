#include "support/fake_engine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "core/base/kernel_names.h"

namespace ksocket::test {

namespace {

// The next header's place in a control buffer that is being filled, as put_cmsg() of the kernel does it.
template <typename Value>
void put_control(msghdr* header, size_t* used, int level, int type, const Value& value) {
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header->msg_control) + *used);
  *used += CMSG_SPACE(sizeof value);
  if (*used > header->msg_controllen) throw std::logic_error("control buffer too short");
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
}

void fill(Message* message, const Arrival& arrival) {
  msghdr& header = message->header;
  size_t length = std::min(arrival.data.size(), header.msg_iov[0].iov_len);
  std::memcpy(header.msg_iov[0].iov_base, arrival.data.data(), length);
  message->length = static_cast<unsigned>(length);
  header.msg_flags = length < arrival.data.size() ? MSG_TRUNC : 0;

  SockAddr name = to_sockaddr(arrival.from);
  std::memcpy(header.msg_name, &name.any, std::min(name.length, header.msg_namelen));
  header.msg_namelen = name.length;

  size_t used = 0;
  if (arrival.kernel_drops) put_control(&header, &used, SOL_SOCKET, SO_RXQ_OVFL, *arrival.kernel_drops);
  if (arrival.segment_size != 0) put_control(&header, &used, SOL_UDP, UDP_GRO, int{arrival.segment_size});
  if (uint64_t ns = arrival.received_ns) {
    timespec time{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    put_control(&header, &used, SOL_SOCKET, SO_TIMESTAMPNS, time);
  }
  if (arrival.ttl != 0) {
    bool v6 = arrival.from.family == 6;
    put_control(&header, &used, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL,
                int{arrival.ttl});
  }
  header.msg_controllen = used;
}

}  // namespace

namespace {

template <typename Value>
Value value_of(const cmsghdr& message) {
  if (message.cmsg_len != CMSG_LEN(sizeof(Value))) throw std::runtime_error("the kernel refuses that length");
  Value value;
  std::memcpy(&value, CMSG_DATA(&message), sizeof value);
  return value;
}

std::string text_of(const cmsghdr& message) {
  auto is = [&](int level, int type) { return message.cmsg_level == level && message.cmsg_type == type; };
  if (is(IPPROTO_IP, IP_TOS)) return "tos=" + std::to_string(value_of<int>(message));
  if (is(IPPROTO_IPV6, IPV6_TCLASS)) return "tos6=" + std::to_string(value_of<int>(message));
  if (is(IPPROTO_IP, IP_TTL)) return "ttl=" + std::to_string(value_of<int>(message));
  if (is(IPPROTO_IPV6, IPV6_HOPLIMIT)) return "ttl6=" + std::to_string(value_of<int>(message));
  char text[INET6_ADDRSTRLEN];
  if (is(IPPROTO_IP, IP_PKTINFO)) {
    auto info = value_of<in_pktinfo>(message);
    inet_ntop(AF_INET, &info.ipi_spec_dst, text, sizeof text);
    return std::string("from=") + text + " by=" + std::to_string(info.ipi_ifindex);
  }
  if (is(IPPROTO_IPV6, IPV6_PKTINFO)) {
    auto info = value_of<in6_pktinfo>(message);
    inet_ntop(AF_INET6, &info.ipi6_addr, text, sizeof text);
    return std::string("from6=") + text + " by=" + std::to_string(info.ipi6_ifindex);
  }
  if (is(SOL_SOCKET, SO_TIMESTAMPING)) return "timed=" + std::to_string(value_of<uint32_t>(message));
  if (is(SOL_SOCKET, SCM_TS_OPT_ID)) return "id=" + std::to_string(value_of<uint32_t>(message));
  if (is(SOL_SOCKET, SCM_TXTIME)) return "at=" + std::to_string(value_of<uint64_t>(message));
  throw std::runtime_error("nobody says that");
}

}  // namespace

Outgoing outgoing_of(int fd, const msghdr& header) {
  Outgoing out;
  out.fd = fd;
  if (header.msg_name != nullptr) out.to = from_sockaddr(static_cast<const sockaddr*>(header.msg_name));
  out.pieces = header.msg_iovlen;
  for (size_t i = 0; i < header.msg_iovlen; i++) {
    out.data.append(static_cast<const char*>(header.msg_iov[i].iov_base), header.msg_iov[i].iov_len);
  }
  for (const cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr;
       c = CMSG_NXTHDR(const_cast<msghdr*>(&header), const_cast<cmsghdr*>(c))) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
      out.segment_size = value_of<uint16_t>(*c);
    } else {
      out.more += (out.more.empty() ? "" : " ") + text_of(*c);
    }
  }
  return out;
}

void FakeEngine::arrive(int fd, Arrival arrival) {
  std::lock_guard lock(mutex_);
  arrivals_[fd].push_back(std::move(arrival));
  changed_.notify_all();
}

void FakeEngine::arrive(std::vector<std::pair<int, Arrival>> arrivals) {
  std::lock_guard lock(mutex_);
  for (auto& [fd, arrival] : arrivals) arrivals_[fd].push_back(std::move(arrival));
  changed_.notify_all();
}

size_t FakeEngine::waiting(int fd) {
  std::lock_guard lock(mutex_);
  return arrivals_[fd].size();
}

void FakeEngine::set_writable(int fd, bool writable) {
  std::lock_guard lock(mutex_);
  writable_[fd] = writable;
  changed_.notify_all();
}

void FakeEngine::forget(int fd) {
  std::lock_guard lock(mutex_);
  arrivals_.erase(fd);
  writable_.erase(fd);
}

void FakeEngine::on_send(std::function<int(const Outgoing&)> decide) {
  std::lock_guard lock(mutex_);
  decide_ = std::move(decide);
}

void FakeEngine::limit_send(size_t messages_max) {
  std::lock_guard lock(mutex_);
  send_limit_ = messages_max;
}

std::vector<Outgoing> FakeEngine::sent() {
  std::lock_guard lock(mutex_);
  return sent_;
}

std::vector<Outgoing> FakeEngine::take_sent() {
  std::lock_guard lock(mutex_);
  return std::exchange(sent_, {});
}

size_t FakeEngine::send_calls() {
  std::lock_guard lock(mutex_);
  return send_calls_;
}

size_t FakeEngine::receive_calls() {
  std::lock_guard lock(mutex_);
  return receive_calls_;
}

size_t FakeEngine::wait_calls() {
  std::lock_guard lock(mutex_);
  return wait_calls_;
}

size_t FakeEngine::offered() {
  std::lock_guard lock(mutex_);
  return offered_;
}

std::optional<uint32_t> FakeEngine::interest(int fd) {
  std::lock_guard lock(mutex_);
  auto at = watched_.find(fd);
  return at == watched_.end() ? std::nullopt : std::optional(at->second.interest);
}

int FakeEngine::watch(int fd, uint64_t token, uint32_t interest) {
  std::lock_guard lock(mutex_);
  if (watched_.contains(fd)) return -EEXIST;
  watched_[fd] = {token, interest};
  changed_.notify_all();
  return 0;
}

int FakeEngine::change(int fd, uint64_t token, uint32_t interest) {
  std::lock_guard lock(mutex_);
  if (!watched_.contains(fd)) return -ENOENT;
  watched_[fd] = {token, interest};
  changed_.notify_all();
  return 0;
}

void FakeEngine::unwatch(int fd) {
  std::lock_guard lock(mutex_);
  watched_.erase(fd);
}

// The caller holds mutex_.
size_t FakeEngine::collect(std::span<Event> events) {
  size_t count = 0;
  for (const auto& [fd, watched] : watched_) {
    if (count == events.size()) break;
    auto writable = writable_.find(fd);
    Event event{watched.token, (watched.interest & kReadable) != 0 && !arrivals_[fd].empty(),
                (watched.interest & kWritable) != 0 && (writable == writable_.end() || writable->second)};
    if (event.readable || event.writable) events[count++] = event;
  }
  return count;
}

int FakeEngine::wait(std::span<Event> events, int timeout_ms) {
  std::unique_lock lock(mutex_);
  wait_calls_++;
  size_t count = 0;
  auto ready = [&] { return (count = collect(events)) > 0 || woken_; };
  if (timeout_ms == 0) {
    ready();
  } else if (timeout_ms < 0) {
    changed_.wait(lock, ready);
  } else {
    changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready);
  }
  woken_ = false;
  return static_cast<int>(count);
}

void FakeEngine::wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

int FakeEngine::receive(int fd, std::span<Message> messages) {
  std::lock_guard lock(mutex_);
  receive_calls_++;
  offered_ = messages.size();
  std::deque<Arrival>& queue = arrivals_[fd];
  int done = 0;
  for (Message& message : messages) {
    if (queue.empty()) break;
    if (int error = queue.front().error) {
      if (done > 0) break;
      queue.pop_front();
      return -error;
    }
    fill(&message, queue.front());
    queue.pop_front();
    done++;
  }
  return done > 0 ? done : -EAGAIN;
}

int FakeEngine::send(int fd, std::span<Message> messages) {
  std::lock_guard lock(mutex_);
  send_calls_++;
  int done = 0;
  for (Message& message : messages.first(std::min(messages.size(), send_limit_))) {
    Outgoing out = outgoing_of(fd, message.header);
    if (int error = decide_ ? decide_(out) : 0) return done > 0 ? done : -error;
    message.length = static_cast<unsigned>(out.data.size());
    sent_.push_back(std::move(out));
    done++;
  }
  return done;
}

Fd dummy_fd() {
  Fd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd) throw std::runtime_error("/dev/null");
  return fd;
}

}  // namespace ksocket::test
