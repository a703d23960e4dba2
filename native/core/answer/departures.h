// Frames on their way out, many in a descriptor, and how many have left: of a frame that goes to several
// remotes one, if it went to any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/datapath/incoming.h"
#include "core/datapath/tx_flush.h"
#include "core/socket/address.h"

namespace ksocket {

class Departures {
 public:
  // Each frame is behind a prefix of so many bytes, which do not count.
  explicit Departures(uint32_t prefix_bytes) : prefix_bytes_(prefix_bytes) {}

  void add(Descriptor piece, std::span<const Address> remotes) {
    for (const Address& remote : remotes) {
      write_address(remote, &piece);
      descriptors_.push_back(piece);
      copies_.push_back({segments_of(piece.length, piece.segment_size), piece.length, counted_.size()});
    }
    counted_.push_back({});
  }

  bool empty() const { return descriptors_.empty(); }
  // For TxFlush, which tells of those that were refused.
  std::span<Descriptor> descriptors() { return descriptors_; }
  std::vector<RefusedDatagram>* refused() { return &refused_; }

  struct Left {
    uint64_t frames = 0, bytes = 0;
  };
  // After a flush: what has left that was not counted yet. What is deferred waits on.
  Left settle() {
    for (const RefusedDatagram& each : refused_) {
      Copy& copy = copies_[static_cast<size_t>(each.of - descriptors_.data())];
      copy.frames--, copy.bytes -= each.bytes;
    }
    refused_.clear();
    Left left;
    size_t waiting = 0;
    for (size_t i = 0; i < descriptors_.size(); i++) {
      if (descriptors_[i].result == kResultDeferred) {
        descriptors_[waiting] = descriptors_[i], copies_[waiting++] = copies_[i];
      } else {
        count(copies_[i], &left);
      }
    }
    descriptors_.resize(waiting), copies_.resize(waiting);
    if (waiting == 0) counted_.clear();
    return left;
  }
  // Nobody waits any longer: how many datagrams do not leave. What did of their descriptors counts.
  uint32_t give_up(Left* left) {
    uint32_t datagrams = 0;
    for (size_t i = 0; i < descriptors_.size(); i++) {
      uint32_t rest = segments_of(descriptors_[i].length, descriptors_[i].segment_size);
      datagrams += rest;
      copies_[i].frames -= rest, copies_[i].bytes -= descriptors_[i].length;
      descriptors_[i].result = 0;
    }
    *left = settle();
    return datagrams;
  }

 private:
  struct Copy {
    uint32_t frames, bytes;  // of all that were not refused
    size_t piece;            // which one it is of, in counted_
  };

  // Of the copies of one piece that which most has left of.
  void count(const Copy& copy, Left* left) {
    Left& counted = counted_[copy.piece];
    if (copy.frames <= counted.frames) return;
    uint64_t bytes = copy.bytes - uint64_t{copy.frames} * prefix_bytes_;
    left->frames += copy.frames - counted.frames;
    left->bytes += bytes - std::min(bytes, counted.bytes);
    counted = {copy.frames, bytes};
  }

  const uint32_t prefix_bytes_;
  std::vector<Descriptor> descriptors_;
  std::vector<Copy> copies_;  // of each descriptor
  std::vector<Left> counted_;
  std::vector<RefusedDatagram> refused_;
};

}  // namespace ksocket
