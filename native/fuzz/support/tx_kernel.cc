#include "fuzz/support/tx_kernel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/errno_policy.h"
#include "core/base/kernel_names.h"
#include "core/base/udp_limits.h"

namespace ksocket::fuzz {

namespace {

uint32_t host_of(uint32_t to) {
  return to == 0 ? 0 : 1 + to % (kHosts - 1);
}

uint32_t offset_of(const void* payload) {
  return static_cast<uint32_t>(static_cast<const uint8_t*>(payload) - kPayloads);
}

}  // namespace

Address destination(uint32_t number) {
  Address out;
  if (number == 0) return out;
  uint32_t host = host_of(number);
  out.family = host < 4 ? 4 : 6;
  out.bytes[0] = static_cast<uint8_t>(10 + host);
  if (out.family == 6) out.scope_id = host;
  out.port = static_cast<uint16_t>(1000 + number / kHosts);
  return out;
}

int TxKernel::send(int fd, std::span<Message> messages) {
  must(fd == socket_.fd && !messages.empty(), "a call is for the socket, and for something");
  calls++;
  for (size_t i = 0; i < messages.size(); i++) {
    read(messages[i].header);
    if (int error = refusal(); error != 0) {
      if (i > 0) return static_cast<int>(i);
      refuse(error);
      return -error;
    }
    take();
  }
  return static_cast<int>(messages.size());
}

int TxKernel::refusal() {
  if (sent_.places.size() > joins_) return EINVAL;
  constexpr int kErrors[] = {EAGAIN,       EINTR, EINVAL, EMSGSIZE,    EIO,
                             ECONNREFUSED, EPERM, EACCES, ENETUNREACH, ENOBUFS};
  return in_.one_in(12) ? kErrors[in_.below(std::size(kErrors))] : 0;
}

size_t TxKernel::find(const void* payload) const {
  // Mostly the one behind the one before.
  size_t next = sent_.places.empty() ? 0 : sent_.places.back() + 1;
  if (next < staged_.size() && staged_[next].offset == offset_of(payload)) return next;
  auto behind = std::upper_bound(staged_.begin(), staged_.end(), offset_of(payload),
                                 [](uint32_t wanted, const Staged& d) { return wanted < d.offset; });
  must(behind != staged_.begin(), "what leaves was staged");
  return static_cast<size_t>(behind - staged_.begin()) - 1;
}

void TxKernel::read(const msghdr& header) {
  sent_.places.clear();
  sent_.bytes = sent_.segment_size = 0;
  if (header.msg_control != nullptr) {
    const cmsghdr* c = CMSG_FIRSTHDR(&header);
    must(c != nullptr && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT &&
             c->cmsg_len == CMSG_LEN(2) && header.msg_controllen == CMSG_SPACE(2),
         "the segment size is all that is said");
    std::memcpy(&sent_.segment_size, CMSG_DATA(c), 2);
  }
  for (size_t i = 0; i < header.msg_iovlen; i++) {
    must(i == 0 || sent_.bytes == sent_.segment_size * sent_.places.size(),
         "only the last segment is shorter");
    walk(header.msg_iov[i]);
  }
  check(header);
}

// Goes through the segments of a piece, and finds the datagram that each of them is.
void TxKernel::walk(const iovec& piece) {
  auto* at = static_cast<uint8_t*>(piece.iov_base);
  uint8_t* end = at + piece.iov_len;
  do {
    size_t place = find(at);
    const Staged& d = staged_[place];
    uint32_t each = d.segment_size != 0 ? d.segment_size : d.length, within = offset_of(at) - d.offset;
    must(within == 0 || (within < d.length && within % each == 0), "a segment begins where one was staged");
    uint32_t length = std::min(each, d.length - within);
    must(length <= end - at, "a segment is whole");
    must(at + length == end || length == sent_.segment_size, "only the last segment is shorter");
    if (sent_.places.empty()) sent_.first_segment = each == 0 ? 0 : within / each;
    must(sent_.places.empty() || place >= sent_.places.back(), "what is joined is in order");
    must(sent_.places.empty() || staged_[sent_.places[0]].to == d.to, "what is joined goes to one place");
    must(length > 0 || at == end, "an empty datagram is not joined");
    sent_.places.push_back(place);
    sent_.bytes += length;
    at += length;
  } while (at < end);
}

void TxKernel::check(const msghdr& header) const {
  const Staged& d = staged_[sent_.places[0]];
  Address to = destination(d.to);
  must((header.msg_name != nullptr) == (to.family != 0), "a destination is said where there is one");
  must(to.family == 0 || from_sockaddr(static_cast<sockaddr*>(header.msg_name)) == to,
       "it is the datagram's");
  must(segments_of(sent_.bytes, sent_.segment_size) == sent_.places.size(),
       "the kernel cuts it as it was staged");
  must(sent_.is_joined() == (sent_.segment_size != 0), "a segment size is said of what is joined");
  if (!sent_.is_joined()) return;
  must(socket_.gso.enabled, "nothing is joined where the socket cannot");
  must(sent_.places.size() <= segments_max_, "no more segments than the kernel takes");
  must(sent_.was_joined() || sent_.bytes <= kJoinedBytesMax, "a packet's length at most");
  const Limit& limit = limits_[host_of(d.to)];
  must(world_.now_ns() >= limit.until_ns || sent_.segment_size <= limit.bytes_max,
       "a size that was refused is not joined for a while");
}

void TxKernel::take() {
  for (size_t i = 0; i < sent_.places.size(); i++) {
    size_t place = sent_.places[i];
    Staged& d = staged_[place];
    bool goes_on = i > 0 && place == sent_.places[i - 1];
    uint32_t segment = goes_on ? d.next_segment : i == 0 ? sent_.first_segment : 0;
    must(place >= latest_[d.to], "what goes to one place leaves in order");
    must(segment >= d.next_segment && segment < d.segments(), "nothing leaves twice");
    latest_[d.to] = place;
    d.next_segment = segment + 1;
    d.taken++;
  }
  datagrams += sent_.places.size();
  bytes += sent_.bytes;
  if (sent_.is_joined()) {
    joined++;
    joined_segments += sent_.places.size();
    fallback_ = {};
    return;
  }
  // One of those that were refused joined has left alone: it was about joining.
  const auto& refused = fallback_.places;
  if (std::find(refused.begin(), refused.end(), sent_.places[0]) == refused.end()) return;
  if (sent_.bytes < fallback_.segment_size) return;
  if (fallback_.error == EINVAL && refused.size() > 64) {
    segments_max_ = 64;
    return;
  }
  bool about_size = fallback_.error == EINVAL || fallback_.error == EMSGSIZE;
  limits_[host_of(staged_[sent_.places[0]].to)] = {about_size ? fallback_.segment_size - 1u : 0,
                                                   world_.now_ns() + 10'000'000'000};
}

void TxKernel::refuse(int error) {
  for (size_t place : sent_.places) staged_[place].error = error;
  if (!sent_.is_joined()) return;
  fallback_ = {};
  bool comes_alone = on_send_error(error) == Action::report || error == ENOBUFS;
  if (comes_alone && !answers_earlier_datagram(error)) fallback_ = {error, sent_.segment_size, sent_.places};
}

}  // namespace ksocket::fuzz
