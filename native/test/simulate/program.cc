#include "simulate/program.h"

#include <algorithm>
#include <utility>

#include "simulate/payload.h"

namespace ksocket::simulate {

Program::Program(World& world, Options options)
    : world_(world),
      options_(options),
      buffers_(options.slots, options.arena_bytes),
      reader_(buffers_.memory()),
      generations_(8) {
  Kernel& kernel = *world.kernel;
  Traits traits{.offloads = options.offloads,
                .exclusive = options.shares,
                .gso_segments_max = options.gso_segments_max};
  auto engine = std::make_unique<SimEngine>(world, traits);
  engine_ = engine.get();
  thread_ = std::make_unique<IoThread>(std::move(engine), buffers_.memory(), thread_counters_, options.thread,
                                       [this] {
                                         woken_ = true;
                                         wake_up();
                                       });
  if (options.shares) {
    loop_fd_ = kernel.open(Socket::Kind::loop);
    thread_->share({loop_fd_,
                    [this] {
                      int fd = world_.kernel->open(Socket::Kind::other);
                      if (fd >= 0) places_.push_back(fd);
                      return fd;
                    },
                    [this] { asked_before_poll_ = true; }});
  }
  thread_->start();
}

Program::~Program() {
  stop();
  thread_.reset();
  for (const auto& client : all_) client->endpoint.reset();
  for (int fd : places_) world_.kernel->close(fd);
  if (loop_fd_ >= 0) world_.kernel->close(loop_fd_);
}

void Program::stop() {
  if (std::exchange(stopped_, true)) return;
  wake_up();
  thread_->stop();
  for (Client* client : open_) {
    client->socket = nullptr;
    client->ledger.close();
    client->endpoint.reset();
  }
  open_.clear();
}

uint64_t Program::next_number(uint64_t peer, uint32_t count) {
  uint64_t number = numbers_ << kPeerBits | (peer & 0x1f);
  numbers_ += count;
  return number;
}

// ---- sockets

Client* Program::open(const Open& options) {
  uint32_t slot = 1;
  auto taken = [&](uint32_t s) {
    return std::any_of(open_.begin(), open_.end(),
                       [&](Client* each) { return (each->id & kSocketSlotMask) == s; });
  };
  while (taken(slot)) slot++;
  if (slot >= generations_.size()) return nullptr;
  int fd = world_.kernel->open(Socket::Kind::udp);
  if (fd < 0) return nullptr;
  wake_up();
  uint32_t id = slot | ++generations_[slot] << kSocketSlotBits;
  world_.trace("socket %u.%u is %d", slot, generations_[slot], fd);
  Client& client = *all_.emplace_back(std::make_unique<Client>(world_, id, options.keep_bytes_max));
  client.fd = fd;
  client.socket = world_.kernel->find(fd);
  client.socket->observer = &client.ledger;
  if (options.connected) client.socket->peer = peer_of(*options.connected);
  client.endpoint = std::make_shared<Endpoint>(id, uint8_t{4}, Fd(fd), client.row);
  client.endpoint->keep_bytes_max = options.keep_bytes_max;
  client.endpoint->drop_when_full = options.drop_when_full || options.server != Open::Server::none;
  client.endpoint->gro = options_.offloads && options.gro;
  client.endpoint->tx.gso.enabled = options_.offloads && options.gso;
  client.endpoint->held_elsewhere = options.held_elsewhere;
  if (options.server != Open::Server::none) make_server(client, options.server);
  thread_->add(client.endpoint);
  open_.push_back(&client);
  return &client;
}

void Program::watch(Client& client) {
  wake_up();
  // JavaScript closes a socket that cannot be watched.
  if (thread_->watch(*client.endpoint) != 0) return close(client);
  client.receives = true;
}

void Program::unwatch(Client& client) {
  wake_up();
  thread_->unwatch(*client.endpoint);
  client.receives = false;
}

void Program::close(Client& client) {
  wake_up();
  Kernel& kernel = *world_.kernel;
  uint64_t drops = client.socket->drops;
  bool others_have_it = client.endpoint->held_elsewhere;
  thread_->close(client.id);
  if (kernel.find(client.fd) == client.socket) return world_.fail("close() has left the descriptor open");
  client.socket = nullptr;
  peek();
  check(client);
  if (kernel.says_memory && client.row[Counter::rx_kernel_drops] != drops)
    world_.fail("close() has not counted what the kernel dropped");
  if (kernel.kind() && kernel.says_memory && !others_have_it && kernel.left_behind > 0)
    world_.fail("close() has not counted what waited in the kernel");
  client.endpoint.reset();
  client.ledger.close();
  std::erase(open_, &client);
}

// ---- sending

void Program::send(Client& client, const Batch& batch) {
  wake_up();
  std::vector<Descriptor> descriptors(batch.count);
  std::vector<Ledger::Given> given(batch.count);
  std::vector<uint8_t> payloads;
  bool connected = client.socket->peer.family != 0;
  for (uint32_t i = 0; i < batch.count; i++) {
    Descriptor& each = descriptors[i];
    uint64_t number = next_number(connected ? batch.peer : batch.peer + i % batch.peers);
    each = {};
    if (!connected) write_address(peer_of(number), &each);
    each.offset = static_cast<uint32_t>(payloads.size());
    each.length = batch.uneven && i % 5 == 4 ? batch.length / 2 : batch.length;
    if (each.length < 8) each.length = 0;
    each.user_data = i % batch.asks == 0 ? number : 0;
    given[i] = {number, each.length, each.user_data != 0};
    payloads.resize(payloads.size() + each.length);
    write_payload(number, {payloads.data() + each.offset, each.length});
  }
  thread_->send(*client.endpoint, payloads.data(), descriptors);
  client.ledger.settle(given, descriptors);
}

void Program::notify_drained(Client& client) {
  wake_up();
  if (!thread_->notify_drained(*client.endpoint)) return;
  client.wants_drained = true;
  client.drained_due++;
}

// ---- receiving

void Program::arrive(Client& client, uint64_t peer, uint32_t length, uint16_t segment_size) {
  Datagram datagram;
  bool joined = segment_size != 0 && segment_size < length;
  uint32_t count = joined ? (length + segment_size - 1) / segment_size : 1;
  if (client.socket->peer.family != 0) peer = client.socket->peer.bytes[3];
  datagram.number = next_number(peer, count);
  datagram.from = peer_of(datagram.number);
  datagram.length = length;
  datagram.ttl = client.socket->tells_ttl ? static_cast<uint8_t>(1 + datagram.number % 200) : 0;
  if (joined && client.socket->gro) {
    datagram.segment_size = segment_size;
    world_.kernel->arrive(client.fd, datagram);
    return;
  }
  // What was joined is split where the socket does not take it so.
  for (uint32_t i = 0; i < count; i++) {
    Datagram each = datagram;
    each.number += i * kNumberStep;
    each.length = joined ? std::min<uint32_t>(segment_size, length - i * segment_size) : length;
    world_.kernel->arrive(client.fd, each);
  }
}

void Program::wake_up() {
  world_.kernel->loop_set().wake_up();
}

void Program::sleep() {
  if (std::exchange(asked_before_poll_, false)) thread_->before_poll();
  if (has_to_drain() || world_.kernel->loop_set().any_listed()) return;
  world_.kernel->loop_set().sleep([] {});
}

bool Program::turn(uint32_t budget) {
  wake_up();
  if (std::exchange(asked_before_poll_, false)) thread_->before_poll();
  bool did = has_to_drain();
  if (did) drain(budget);
  if (!options_.shares) return did;
  std::vector<uint64_t> told;
  Kernel& kernel = *world_.kernel;
  kernel.loop_set().collect(
      8, [&](int fd) { return kernel.ready(fd); },
      [&](const PollSet::Found& found) { told.push_back(found.data); });
  for (uint64_t data_fd : told) {
    auto place = std::find(places_.begin(), places_.end(), static_cast<int>(data_fd));
    bool read = thread_->receive_on_loop(static_cast<uint32_t>(place - places_.begin()));
    check();
    if (read) drain(budget);
    while (thread_->look_again() == Look::found) drain(budget);
    did = true;
  }
  return did;
}

// Looks at what was published since it last looked: afterwards the reader may give it back.
void Program::peek() {
  RingMemory memory = buffers_.memory();
  for (; peeked_ != memory.control->head; peeked_++) {
    const Descriptor& record = memory.descriptors[(peeked_ - memory.control->base) & (memory.slots - 1)];
    Seen& seen = seen_.emplace_back(Seen{record.kind == DescriptorKind::datagram, std::nullopt});
    if (!seen.is_datagram) continue;
    auto client =
        std::find_if(all_.begin(), all_.end(), [&](const auto& c) { return c->id == record.socket_id; });
    if (client == all_.end()) {
      world_.fail("a record of no socket");
      continue;
    }
    if (uint64_t{record.offset} + record.length > memory.arena_bytes)
      world_.fail("a record outside the arena");
    seen.number = (*client)->ledger.published(record, {memory.arena + record.offset, record.length});
  }
}

void Program::see(const Descriptor& record, std::span<const uint8_t> payload) {
  records++;
  Seen seen = seen_.front();
  seen_.pop_front();
  auto client =
      std::find_if(all_.begin(), all_.end(), [&](const auto& c) { return c->id == record.socket_id; });
  if (client == all_.end()) return world_.fail("a record of no socket");
  switch (record.kind) {
    case DescriptorKind::datagram:
      if (!seen.is_datagram || (seen.number && !Ledger::is_intact(*seen.number, record, payload)))
        world_.fail("a record has changed before it was read");
      break;
    case DescriptorKind::sent:
      (*client)->ledger.reported(record.user_data, record.result);
      break;
    case DescriptorKind::drained:
      (*client)->wants_drained = false;
      if ((*client)->drained_due-- == 0) world_.fail("`drained` is said, and nobody has asked");
      break;
    case DescriptorKind::error:
      if (record.result >= 0) world_.fail("an error that is none");
      break;
    default:
      world_.fail("a record of a kind that nobody has asked for");
  }
}

void Program::drain(uint32_t budget) {
  wake_up();
  woken_ = false;
  peek();
  auto drained = reader_.drain(
      [&](const Descriptor& record, std::span<const uint8_t> payload) {
        if (seen_.empty()) peek();
        see(record, payload);
      },
      budget);
  comes_back_ = drained.more;
  world_.trace("drain(%u) = %u%s%s", budget, drained.records, drained.resume ? ", resume" : "",
               drained.more ? ", more" : "");
  if (drained.resume) thread_->resume();
}

}  // namespace ksocket::simulate
