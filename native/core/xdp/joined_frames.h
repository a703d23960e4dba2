// Where this kernel keeps, of a frame that generic XDP sees, that it is joined of several datagrams: from the
// types that the kernel describes in /sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ksocket::xdp {

// Of struct xdp_buff, which the context of a program is, and of struct skb_shared_info, which ends its
// memory.
struct JoinedFrames {
  uint32_t hard_start = 0, frame_bytes = 0;  // offsets of data_hard_start and frame_sz
  uint32_t from_end = 0;                     // gso_size is so many bytes before the end
};

std::optional<JoinedFrames> joined_frames_of(std::span<const uint8_t> btf);
// Of the kernel that runs; none where it does not say.
std::optional<JoinedFrames> joined_frames();

}  // namespace ksocket::xdp
