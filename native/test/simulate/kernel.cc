#include "simulate/kernel.h"

#include <algorithm>
#include <cerrno>

namespace ksocket::simulate {

// ---- descriptors

// The lowest number that is free, so that numbers come again at once.
int Kernel::open(Socket::Kind kind, uint8_t family) {
  if (sockets_.size() >= limit_) return -EMFILE;
  int fd = kFirst;
  for (const auto& [taken, socket] : sockets_) {
    if (taken != fd) break;
    fd++;
  }
  auto socket = std::make_unique<Socket>();
  socket->kind = kind;
  socket->family = family;
  socket->name.family = family;
  socket->name.port = static_cast<uint16_t>(20'000 + fd - kFirst);
  sockets_[fd] = std::move(socket);
  return fd;
}

Socket* Kernel::find(int fd) {
  auto found = sockets_.find(fd);
  return found != sockets_.end() ? found->second.get() : nullptr;
}

int Kernel::close(int fd) {
  Socket* socket = find(fd);
  left_behind = socket != nullptr && !socket->said_dead && !socket->shut ? socket->queue.size() : 0;
  if (sockets_.erase(fd) == 0) {
    world_.fail("a descriptor is closed that is not open");
    return -EBADF;
  }
  engine_set_.remove(fd);
  loop_set_.remove(fd);
  return 0;
}

// ep_ptable_queue_proc: exclusive entries wait behind all others (add_wait_queue_exclusive).
void Kernel::watch(PollSet& set, int fd, PollSet::Entry entry) {
  set.add(fd, entry, ready(fd));
  Socket* socket = find(fd);
  if (socket == nullptr) return;
  socket->waiters.insert(entry.exclusive ? socket->waiters.end() : socket->waiters.begin(), &set);
}

void Kernel::unwatch(PollSet& set, int fd) {
  set.remove(fd);
  if (Socket* socket = find(fd)) std::erase(socket->waiters, &set);
}

uint32_t Kernel::ready(int fd) {
  Socket* socket = find(fd);
  if (socket == nullptr) return 0;
  if (socket->kind == Socket::Kind::timer) return world_.now_ns() >= socket->due_ns ? kIn : 0;
  uint32_t out = 0;
  if (!socket->queue.empty() || socket->shut) out |= kIn;
  if (socket->pending_error != 0 || socket->error_queue > 0) out |= kError;
  if (socket->in_flight * 2 <= socket->send_bytes_max) out |= kOut;
  return out;
}

// __wake_up_common: the others are not told once an exclusive entry has woken somebody.
void Kernel::tell(int fd, uint32_t what) {
  for (PollSet* set : std::vector(find(fd)->waiters)) {
    if (set->tell(fd, what)) return;
  }
}

void Kernel::set_timer(int fd, uint64_t due_ns) {
  find(fd)->due_ns = due_ns;
  due_ns_ = std::min(due_ns_, due_ns);
}

void Kernel::on_time() {
  due_ns_ = UINT64_MAX;
  for (const auto& [fd, socket] : sockets_) {
    if (socket->kind != Socket::Kind::timer) continue;
    if (world_.now_ns() >= socket->due_ns) {
      tell(fd, kIn);
    } else {
      due_ns_ = std::min(due_ns_, socket->due_ns);
    }
  }
}

// ---- the network's side

bool Kernel::arrive(int fd, Datagram datagram) {
  Socket& socket = *find(fd);
  if (socket.refuses_all || socket.queue.size() >= socket.queue_max) {
    uint32_t count = datagram.segment_size == 0
                         ? 1
                         : (datagram.length + datagram.segment_size - 1) / datagram.segment_size;
    socket.drops += count;
    return false;
  }
  if (socket.reports_drops) datagram.dropped = socket.drops;
  socket.queue.push_back(datagram);
  tell(fd, kIn);
  return true;
}

void Kernel::break_off(int fd, int error) {
  find(fd)->pending_error = error;
  tell(fd, kError);
}

void Kernel::queue_errors(int fd, uint32_t count) {
  find(fd)->error_queue += count;
  tell(fd, kError);
}

void Kernel::shut_down(int fd) {
  find(fd)->shut = true;
  tell(fd, kIn);
}

void Kernel::send_out(int fd, uint32_t bytes) {
  Socket& socket = *find(fd);
  if (socket.in_flight == 0) return;
  socket.in_flight -= std::min(socket.in_flight, bytes);
  if (socket.in_flight * 2 <= socket.send_bytes_max) tell(fd, kOut);
}

void Kernel::be_kind() {
  kind_ = true;
  limit_ = SIZE_MAX;
  for (Path& each : paths_) each = {};
  std::vector<int> all;
  for (const auto& [fd, socket] : sockets_) all.push_back(fd);
  for (int fd : all) {
    Socket& socket = *find(fd);
    socket.error_queue = 0;
    send_out(fd, UINT32_MAX);
  }
}

}  // namespace ksocket::simulate
