#include "core/datapath/gso_policy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ksocket {

namespace {

bool same_host(const Address& a, const Address& b) {
  return a.family == b.family && a.scope_id == b.scope_id &&
         std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

}  // namespace

uint32_t GsoPolicy::limit_of(const Address& to) const {
  const Limit* begin = limits_.get();
  const Limit* end = begin + hosts_;
  const Limit* found = std::find_if(begin, end, [&](const Limit& l) { return same_host(l.host, to); });
  return found != end ? found->segment_bytes_max : UINT16_MAX;
}

void GsoPolicy::refused(const Address& to, uint32_t segment_bytes, int error, uint32_t segments) {
  if (error == EINVAL && segments > kGsoSegmentsMin) {
    count_refused_ = true;
    segments_max_ = kGsoSegmentsMin;
    return;
  }
  // __ip_append_data and udp_send_skb: EINVAL, later EMSGSIZE, when a segment does not fit the path's MTU;
  // EIO where the device has no checksum offload or an IPsec policy holds; EPERM from a firewall that looks
  // at the length.
  bool about_size = error == EINVAL || error == EMSGSIZE;
  uint32_t limit = about_size && segment_bytes > 0 ? segment_bytes - 1 : 0;
  Clock::time_point until = Clock::now() + kRetryAfter;
  if (hosts_ == 0) largest_joined_ = 0;
  if (!limits_) limits_ = std::make_unique<Limit[]>(kHostsMax);
  Limit* begin = limits_.get();
  Limit* end = begin + hosts_;
  end = std::remove_if(begin, end, [&](const Limit& l) { return same_host(l.host, to); });
  if (end == begin + kHostsMax) {
    if (largest_joined_ < segment_bytes) {
      segment_bytes_max_ = limit;
      limited_ = true;
      until_ = until;
    }
    end = std::move(begin + 1, end, begin);
  }
  *end++ = {to, limit, until};
  hosts_ = static_cast<size_t>(end - begin);
}

void GsoPolicy::forget(Clock::time_point now) {
  Limit* begin = limits_.get();
  const Limit* end = begin + hosts_;
  const Limit* kept = std::find_if<const Limit*>(begin, end, [&](const Limit& l) { return l.until > now; });
  hosts_ = static_cast<size_t>(std::move(kept, end, begin) - begin);
  if (limited_ && now >= until_) {
    limited_ = false;
    segment_bytes_max_ = UINT16_MAX;
  }
}

}  // namespace ksocket
