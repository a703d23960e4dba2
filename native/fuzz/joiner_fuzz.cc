// What is joined before it is written to a TAP device, divided again, are the frames that came: of each
// connection in their order, with nothing changed.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/tunnel/joiner.h"
#include "core/tunnel/segmentation.h"
#include "fuzz/support/fuzz.h"
#include "support/frames.h"

namespace ksocket::fuzz {

namespace {

using test::Frame;
using test::FrameOptions;

constexpr uint32_t kConnections = 3, kFramesMax = 5;
constexpr uint8_t kFlags[] = {0x10, 0x18, 0x11, 0x12, 0x14, 0x50, 0x90, 0x30};

// Whose frame it is: addresses and ports, wherever they stand; of what has none, nobody's.
using Connection = std::vector<uint8_t>;
Connection connection_of(const Frame& frame) {
  FrameLayout layout = layout_of(frame);
  if (layout.transport == 0) return {};
  auto at = frame.begin() + layout.ip, transport = frame.begin() + layout.transport;
  Connection out(at + (layout.version == 4 ? 12 : 8), at + (layout.version == 4 ? 20 : 40));
  out.push_back(layout.protocol);
  out.insert(out.end(), transport, transport + 4);
  return out;
}

// RFC 6864: where a packet is never divided its number says nothing, and its header's checksum is about it.
Frame without_id(Frame frame) {
  FrameLayout layout = layout_of(frame);
  if (layout.version != 4 || (frame[layout.ip + 6] & 0x40) == 0) return frame;
  for (uint32_t at : {4, 5, 10, 11}) frame[layout.ip + at] = 0;
  return frame;
}

// The next frame of a connection, which mostly follows the one before.
Frame next_of(Random& in, FrameOptions* o) {
  uint32_t what = in.below(16);
  if (what == 0) o->acknowledged++;
  if (what == 1) o->window++;
  if (what == 2) o->sequence += in.below(5);
  if (what == 3) o->id += in.below(3);
  if (what == 4) o->dont_fragment = !o->dont_fragment;
  if (what == 5) o->option_bytes = in.below(3) * 4;
  if (what == 6) o->payload_bytes = in.below(12);
  FrameOptions now = *o;
  now.flags = what == 7 ? kFlags[in.below(8)] : uint8_t{0x10};
  if (what == 8) now.payload_bytes = o->payload_bytes / 2;
  Frame out = test::make_frame(now);
  if (what == 9) out[in.below(static_cast<uint32_t>(out.size()))] ^= 1;
  if (what == 10) out.resize(std::max<size_t>(out.size(), 60));
  o->sequence += static_cast<uint32_t>(now.payload_bytes);
  o->id++;
  return out;
}

void divide(const Joiner::Write& write, std::vector<Frame>* out) {
  Frame all;
  for (const iovec& piece : write.pieces) {
    auto* data = static_cast<const uint8_t*>(piece.iov_base);
    all.insert(all.end(), data, data + piece.iov_len);
  }
  VnetHeader header;
  std::memcpy(&header, all.data(), sizeof header);
  std::span<uint8_t> frame(all.data() + sizeof header, all.size() - sizeof header);
  auto segmentation = Segmentation::of(header, frame);
  must(segmentation.has_value(), "what is written can be divided");
  must(segmentation->count() == write.frames, "into as many as it was joined of");
  Frame divided(segmentation->bytes(0));
  segmentation->write({}, divided.data());
  for (size_t at = 0; at < divided.size(); at += segmentation->frame_bytes()) {
    size_t end = std::min<size_t>(divided.size(), at + segmentation->frame_bytes());
    out->emplace_back(divided.begin() + static_cast<long>(at), divided.begin() + static_cast<long>(end));
  }
}

std::vector<Frame> of_connection(const std::vector<Frame>& frames, const Connection& connection) {
  std::vector<Frame> out;
  for (const Frame& frame : frames) {
    if (connection_of(frame) == connection) out.push_back(without_id(frame));
  }
  return out;
}

}  // namespace

void run(Random& in) {
  static Joiner joiner;
  std::array<FrameOptions, kConnections> connections;
  for (uint32_t i = 0; i < kConnections; i++) {
    connections[i].version = in.one_in(2) ? 6 : 4;
    connections[i].tags = static_cast<int>(in.below(2));
    connections[i].protocol = static_cast<uint8_t>(in.one_in(6) ? 17 : 6);
    connections[i].source_port = 100 + i;
    connections[i].option_bytes = 0;
    connections[i].payload_bytes = 1 + in.below(12);
  }
  std::vector<Frame> frames, divided;
  for (uint32_t n = in.below(kFramesMax + 1); n > 0; n--)
    frames.push_back(next_of(in, &connections[in.below(kConnections)]));
  for (const Frame& frame : frames) joiner.add(frame, 1500);
  joiner.take([&](const Joiner::Write& write) { divide(write, &divided); });
  must(divided.size() == frames.size(), "as many frames as came");
  std::vector<Connection> seen;
  for (const Frame& frame : frames) {
    Connection connection = connection_of(frame);
    if (std::find(seen.begin(), seen.end(), connection) != seen.end()) continue;
    seen.push_back(connection);
    must(of_connection(divided, connection) == of_connection(frames, connection),
         "a connection's frames, in their order and as they were");
  }
}

}  // namespace ksocket::fuzz
