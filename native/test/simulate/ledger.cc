#include "simulate/ledger.h"

#include <algorithm>

#include "simulate/payload.h"

namespace ksocket::simulate {

void Ledger::wrong(const std::string& what) {
  world_.fail("socket " + std::to_string(id_ & kSocketSlotMask) + "." +
              std::to_string(id_ >> kSocketSlotBits) + ": " + what);
}

// ---- receiving

void Ledger::handed_out(const Datagram& datagram) {
  uint32_t each = datagram.segment_size != 0 ? datagram.segment_size : datagram.length, at = 0;
  uint64_t number = datagram.number;
  do {
    uint32_t length = std::min(each, datagram.length - at);
    handed_.push_back({number, length, datagram.ttl});
    number += kNumberStep;
    at += length;
    handed++;
  } while (at < datagram.length);
  drops_told = std::max(drops_told, datagram.dropped);
  if (closed_) wrong("receives after it was closed");
}

// Is it the (first) one of this record?
bool Ledger::fits(const Segment& segment, const Descriptor& record, std::span<const uint8_t> payload) const {
  bool joined = record.segment_size != 0;
  uint32_t length = joined ? first_length(record.length, record.segment_size) : record.size;
  if (segment.length != length || segment.ttl != record.ttl) return false;
  if (!(read_address(record) == peer_of(segment.number))) return false;
  return is_payload(segment.number, payload.first(std::min<size_t>({payload.size(), length, 8})));
}

std::optional<uint64_t> Ledger::published(const Descriptor& record, std::span<const uint8_t> payload) {
  while (!handed_.empty() && !fits(handed_.front(), record, payload)) handed_.pop_front();
  if (handed_.empty()) {
    wrong("a record that is no datagram of the kernel's, or out of order");
    return std::nullopt;
  }
  uint64_t number = handed_.front().number;
  bool truncated = record.segment_size == 0 && record.size > keep_bytes_max_;
  uint32_t kept = truncated ? keep_bytes_max_ : record.size;
  if (record.length != kept || ((record.flags & kTruncated) != 0) != truncated)
    wrong("is cut at another place");
  uint32_t count = segments_of(record.length, record.segment_size);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t rest = record.length - i * record.segment_size;
    uint32_t length = record.segment_size != 0 ? first_length(rest, record.segment_size) : record.size;
    if (handed_.empty() || handed_.front().number != number + i * kNumberStep ||
        handed_.front().length != length) {
      wrong("a super-datagram has others than the kernel's");
      return std::nullopt;
    }
    handed_.pop_front();
    seen++;
  }
  if (!is_intact(number, record, payload)) wrong("a record has other bytes than the datagram");
  return number;
}

bool Ledger::is_intact(uint64_t number, const Descriptor& record, std::span<const uint8_t> payload) {
  uint32_t each = record.segment_size != 0 ? record.segment_size : record.length;
  for (uint32_t at = 0; at < record.length; at += each, number += kNumberStep) {
    if (!is_payload(number, payload.subspan(at, std::min(each, record.length - at)))) return false;
  }
  return payload.size() == record.length;
}

// ---- sending

void Ledger::taken(const Address& to, std::span<const uint8_t> payload) {
  took++;
  std::optional<uint64_t> number = number_of(payload);
  if (!number) return;
  if (!(to == peer_of(*number))) wrong("sends to somebody else");
  if (!is_payload(*number, payload)) wrong("sends other bytes");
  // What back ends say comes through several flows, where rules have changed.
  if (answers && (*number & (kHosts - 1)) == kForwardedHost) {
    if (!answered_.insert(*number).second) wrong("sends twice");
    return;
  }
  uint64_t& last = last_taken_[*number & (kNumberStep - 1)];
  if (*number <= last) wrong("sends twice, or out of order");
  last = *number;
  if (answers || silent_.erase(*number) > 0) return;
  taken_.insert(*number);
}

void Ledger::settle(std::span<const Given> given, std::span<const Descriptor> descriptors) {
  submitted += given.size();
  for (size_t i = 0; i < given.size(); i++) {
    auto [number, length, asks] = given[i];
    int32_t result = descriptors[i].result;
    if (result == kResultDeferred) {
      if (asks) {
        waiting_.insert(number);
        if (length == 0) empty_.insert(number);
      } else if (length == 0) {
        silent_empty_++;
      } else if (taken_.erase(number) == 0) {
        silent_.insert(number);
      }
      continue;
    }
    if (result < 0) failed_++;
    if (length == 0) continue;
    bool was_taken = taken_.erase(number) > 0;
    if (was_taken != (result >= 0))
      wrong(was_taken ? "reports as refused what was sent" : "reports as sent what was not");
    if (result >= 0 && static_cast<uint32_t>(result) != length) wrong("reports another length");
  }
}

void Ledger::reported(uint64_t number, int32_t result) {
  if (waiting_.erase(number) == 0) {
    if (!closed_) wrong("reports what does not wait, or twice");
    return;
  }
  if (result < 0) failed_++;
  if (empty_.erase(number) > 0) return;
  if ((taken_.erase(number) > 0) != (result >= 0)) wrong("a late result is wrong");
}

void Ledger::close() {
  closed_ = true;
  silent_.clear();
}

void Ledger::check_all_reported(uint64_t failures) {
  if (!closed_ && !waiting_.empty()) wrong("a result never comes");
  // Of those whose result nobody asked for the kernel has taken all that did not fail.
  uint64_t least = failed_ + silent_.size();
  if (!closed_ && (failures < least || failures > least + silent_empty_))
    wrong("sends have failed: " + std::to_string(failures) + " by its counters, of " + std::to_string(least));
  if (!closed_ && !taken_.empty()) wrong("what was sent is not reported");
}

}  // namespace ksocket::simulate
