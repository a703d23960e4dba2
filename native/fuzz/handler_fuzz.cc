// A handler in C that says anything to anybody, and asks for what there is not: what it may say leaves as it
// was written, in order; what it may not is refused.
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/answer/handler_responder.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/sink.h"
#include "fuzz/support/world.h"
#include "support/ring_memory.h"

namespace ksocket::fuzz {

namespace {

constexpr uint32_t kClients = 4;

const Address& client(uint32_t number) {
  static const auto all = [] {
    std::array<Address, kClients> out;
    for (uint32_t n = 0; n < kClients; n++) {
      out[n].family = n % 2 == 0 ? 4 : 6;
      out[n].bytes[0] = static_cast<uint8_t>(10 + n);
      out[n].port = static_cast<uint16_t>(4000 + n);
      if (out[n].family == 6) out[n].scope_id = n;
    }
    return out;
  }();
  return all[number];
}

// A reply begins and ends with its number, where there is room for that.
void sign(uint8_t* reply, uint32_t length, uint32_t number) {
  for (uint32_t i = 0; i < 4 && i < length; i++) {
    reply[i] = static_cast<uint8_t>(number >> 8 * i);
    reply[length - 1 - i] = static_cast<uint8_t>(number >> 8 * i);
  }
}
bool is_signed(const uint8_t* reply, uint32_t length, uint32_t number) {
  if (length < 8) return true;
  uint8_t wanted[8];
  sign(wanted, 8, number);
  return std::memcmp(reply, wanted, 4) == 0 && std::memcmp(reply + length - 4, wanted + 4, 4) == 0;
}

struct Reply {
  uint32_t number, length;
};

// To one client, in order.
struct Replies {
  std::vector<Reply> made;
  size_t left = 0;  // so many of them have left, or were refused
};

// One input, as the handler and the kernel see it.
struct Talk : Sink {
  // The next input begins. Memory stays: to allocate it would cost more than to talk.
  void begin(Random& random) {
    in = &random;
    asked.clear();
    where.clear();
    delivered.clear();
    for (Replies& each : replies) each.made.clear(), each.left = 0;
    made = arrived = refusals = 0;
  }

  int send(int, std::span<Message> messages) override {
    if (in->one_in(12)) {
      constexpr int kErrors[] = {EAGAIN, EPERM, ENOBUFS, EINVAL};
      refusals++;
      return -kErrors[in->below(std::size(kErrors))];
    }
    for (const Message& message : messages) take(message.header);
    return static_cast<int>(messages.size());
  }

  void take(const msghdr& header) {
    Address to = from_sockaddr(static_cast<sockaddr*>(header.msg_name));
    uint32_t number = 0;
    while (number < kClients && !(client(number) == to)) number++;
    must(number < kClients, "a reply goes to one who has asked");
    uint16_t each = 0;
    if (header.msg_control != nullptr) std::memcpy(&each, CMSG_DATA(CMSG_FIRSTHDR(&header)), 2);
    for (size_t i = 0; i < header.msg_iovlen; i++) {
      auto* at = static_cast<const uint8_t*>(header.msg_iov[i].iov_base);
      auto left = static_cast<uint32_t>(header.msg_iov[i].iov_len);
      do {
        uint32_t length = each != 0 && each < left ? each : left;
        arrives(replies[number], at, length);
        at += length;
        left -= length;
      } while (left > 0);
    }
  }

  // The next one that was made for this client; those before were refused by the kernel.
  void arrives(Replies& from, const uint8_t* data, uint32_t length) {
    arrived++;
    while (from.left < from.made.size()) {
      Reply reply = from.made[from.left++];
      if (reply.length == length && is_signed(data, length, reply.number)) return;
      must(refusals > 0, "replies leave in order, as they were written");
    }
    must(false, "what leaves was said");
  }

  void answer(const ksocket_batch* batch);
  uint8_t* reply(const ksocket_batch* batch, uint32_t index, uint32_t length);

  Random* in = nullptr;
  std::vector<uint32_t> asked;                       // by which client, a datagram each
  std::vector<std::pair<uint32_t, uint32_t>> where;  // its offset and length
  const uint8_t* base = nullptr;
  Replies replies[kClients];
  std::vector<uint32_t> delivered;
  uint32_t made = 0, arrived = 0, refusals = 0;
};

uint8_t* Talk::reply(const ksocket_batch* batch, uint32_t index, uint32_t length) {
  uint8_t* out = batch->reply(batch, index, length);
  must((out != nullptr) == (index < batch->count && length <= 65507), "what is out of range is refused");
  if (out == nullptr) return out;
  replies[asked[index]].made.push_back({++made, length});
  sign(out, length, made);
  return out;
}

void Talk::answer(const ksocket_batch* batch) {
  must(batch->count == asked.size() && batch->local_port == 2325, "the handler gets the batch");
  for (uint32_t i = 0; i < batch->count; i++) {
    const ksocket_request& request = batch->requests[i];
    must(request.data == base + where[i].first && request.length == where[i].second, "with each datagram");
    must(request.source.port == client(asked[i]).port, "and who has sent it");
  }
  for (uint32_t count = in->below(40); count > 0 && in->left() > 0; count--) {
    uint32_t index = in->one_in(8) ? (*in)() : in->below(batch->count);
    if (in->one_in(4)) {
      batch->deliver(batch, index);
      if (index < batch->count) delivered.push_back(index);
      continue;
    }
    constexpr uint32_t kLengths[] = {0, 8, 8, 8, 9, 100, 1200, 65507, 65508, UINT32_MAX, 1 << 20};
    uint32_t length = in->one_in(4) ? in->below(1 << 17) : kLengths[in->below(std::size(kLengths))];
    // Now and then enough of them to fill the room for replies.
    for (uint32_t n = in->one_in(12) ? in->below(64) : 1; n > 0; n--) reply(batch, index, length);
  }
}

Talk& talk() {
  static Talk out;
  return out;
}

HandlerResponder& responder(test::CounterRow& counters) {
  static HandlerResponder* out = [&] {
    char argument[32], path[4096];
    std::snprintf(argument, sizeof argument, "%p",
                  reinterpret_cast<void*>(+[](const ksocket_batch* batch) { talk().answer(batch); }));
    std::snprintf(path, sizeof path, "%s", KSOCKET_HANDLER_ASKS);
    std::string error;
    auto handler = Handler::load(path, argument, &error);
    must_agree(error);
    return new HandlerResponder(std::move(handler), 7, 6, 2325, true, nullptr, counters);
  }();
  return *out;
}

}  // namespace

void run(Random& in) {
  static test::CounterRow counters;
  static TxFlush flush;
  static RxBatch batch;
  HandlerResponder& answering = responder(counters);
  World world(1'000'000'000'000);
  Talk& now = talk();
  now.begin(in);
  uint8_t payloads[2048];
  now.base = payloads;
  std::vector<Incoming> incoming(1 + in.below(6));
  uint32_t offset = 0;
  for (Incoming& one : incoming) {
    uint32_t from = in.below(kClients), length = in.below(257);
    auto segment_size = static_cast<uint16_t>(length > 1 && in.one_in(2) ? 1 + in.below(length - 1) : 0);
    one = {offset, length, segment_size, client(from)};
    for_each_datagram(one, [&](uint32_t at, uint32_t bytes) {
      now.asked.push_back(from);
      now.where.push_back({at, bytes});
    });
    offset += length;
  }
  uint64_t replies = counters[Counter::replies], sent = counters[Counter::tx_datagrams];
  RxRound round;
  std::span<const Incoming> delivered = answering.answer({now, flush, batch, round}, payloads, incoming);
  must(counters[Counter::replies] - replies == now.made, "replies are counted");
  must(counters[Counter::tx_datagrams] - sent == now.arrived, "so is what leaves");
  must(now.refusals > 0 || now.arrived == now.made, "every reply leaves");
  must(delivered.size() == now.delivered.size(), "what is delivered is what the handler hands on");
  for (size_t i = 0; i < delivered.size(); i++) {
    auto [at, bytes] = now.where[now.delivered[i]];
    must(delivered[i].offset == at && delivered[i].length == bytes, "and in its order");
  }
}

}  // namespace ksocket::fuzz
