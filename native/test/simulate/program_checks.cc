// What has to hold, and the servers that the checks know.
#include <algorithm>

#include "core/answer/fixed_responder.h"
#include "core/answer/guarded_responder.h"
#include "core/answer/rule_responder.h"
#include "simulate/payload.h"
#include "simulate/program.h"

namespace ksocket::simulate {

namespace {

rules::Rule rule_of_host(uint8_t host, rules::Action action) {
  rules::Rule out;
  rules::Mask mask;
  mask.mask = {7};
  mask.value = {host};
  out.match.masks.push_back(mask);
  out.action = action;
  out.amplify = true;
  if (action == rules::Action::reply) {
    out.reply.literals = {'r', 'e', 'p', 'l', 'y'};  // too short to have a number
    rules::Part part;
    part.end = 5;
    out.reply.parts.push_back(part);
  }
  return out;
}

}  // namespace

void Program::update_rules(Client& client, uint32_t variant) {
  RuleResponder* responder = client.endpoint->responder ? client.endpoint->responder->by_rules() : nullptr;
  if (responder == nullptr) return;
  using rules::Action;
  static constexpr Action kActions[] = {Action::echo, Action::reply, Action::drop, Action::deliver};
  rules::RuleSpec spec;
  std::vector<std::string> names;
  std::vector<Forwarder::Options> forwards;
  // Of one host nothing else comes back than what back ends say.
  if (variant % 5 != 4) {
    spec.rules.push_back(rule_of_host(kForwardedHost, Action::forward));
    names.push_back("forward");
    Forwarder::Options& forward = forwards.emplace_back();
    for (uint64_t port : {0, 8}) forward.targets.push_back(peer_of(7 + port));
    forward.idle_ns = 3'000'000'000;
    forward.flows_max = variant % 3 == 0 ? 2 : 16;
    forward.balance = variant % 2 == 0 ? Forwarder::Balance::source : Forwarder::Balance::round_robin;
  } else {
    spec.rules.push_back(rule_of_host(kForwardedHost, Action::drop));
    names.push_back("drop");
  }
  for (uint8_t host = 1; host < 8; host++) {
    spec.rules.push_back(rule_of_host(host, kActions[(variant + host) % 4]));
    names.push_back("host " + std::to_string(host));
  }
  spec.forwards = static_cast<uint32_t>(forwards.size());
  responder->update(std::move(spec), std::move(names), std::move(forwards));
}

void Program::make_server(Client& client, Open::Server kind) {
  client.server = true;
  client.ledger.answers = true;
  Endpoint& endpoint = *client.endpoint;
  if (kind == Open::Server::echo || kind == Open::Server::fixed) {
    FixedResponder::Options options;
    options.kind = kind == Open::Server::echo ? FixedResponder::Kind::echo : FixedResponder::Kind::fixed;
    options.reply = {'r', 'e', 'p', 'l', 'y'};
    endpoint.responder = std::make_unique<FixedResponder>(
        std::move(options), client.fd, endpoint.keep_bytes_max, options_.offloads, client.row);
    return;
  }
  Engine& engine = thread_->engine();
  uint32_t id = client.id;
  Forwarder::Host host{
      [&engine, id](int fd, uint32_t key) { return engine.watch(fd, responder_token(id, key), kReadable); },
      [&engine](int fd) { engine.unwatch(fd); }};
  endpoint.responder = std::make_unique<RuleResponder>(
      client.fd, Address{.port = 2325, .family = 4}, std::move(host), options_.offloads, nullptr, client.row);
  update_rules(client, 0);
  if (kind != Open::Server::guarded) return;
  GuardedResponder::Options options;
  options.per_source = RateLimit{1000, 20};
  options.total = RateLimit{5000, 100};
  endpoint.responder =
      std::make_unique<GuardedResponder>(std::move(options), std::move(endpoint.responder), client.row);
}

void Program::answer_flows(uint32_t count) {
  Kernel& kernel = *world_.kernel;
  for (int fd = Kernel::kFirst; fd < Kernel::kFirst + 64 && count > 0; fd++) {
    Socket* socket = kernel.find(fd);
    if (socket == nullptr || socket->kind != Socket::Kind::udp || socket->observer != nullptr) continue;
    if (socket->peer.family == 0 || !socket->client) continue;
    Datagram datagram;
    datagram.number = next_number(*socket->client);
    datagram.from = socket->peer;
    datagram.length = 8 + static_cast<uint32_t>(datagram.number >> kPeerBits) % 300;
    kernel.arrive(fd, datagram);
    count--;
  }
}

// ---- checks

void Program::check(Client& client) {
  auto get = [&](Counter counter) { return client.row[counter]; };
  auto same = [&](uint64_t a, uint64_t b, const char* what) {
    if (a != b)
      world_.fail(std::string(what) + ": " + std::to_string(a) + " and " + std::to_string(b) + " (socket " +
                  std::to_string(client.id & kSocketSlotMask) + ")");
  };
  const Ledger& books = client.ledger;
  same(books.handed, get(Counter::rx_datagrams), "handed out, counted as received");
  uint64_t in_counters = get(Counter::rx_ring_drops) + get(Counter::rx_close_drops);
  uint64_t answered = 0;
  for (Counter each : {Counter::rule_drops, Counter::replies, Counter::refused_replies, Counter::forwarded,
                       Counter::forward_drops, Counter::denied, Counter::limited, Counter::limited_total}) {
    answered += get(each);
  }
  same(books.handed, books.seen + in_counters + answered, "handed out, in the ring and in counters");
  uint64_t drops = client.socket != nullptr ? client.socket->drops : UINT64_MAX;
  if (get(Counter::rx_kernel_drops) > drops) world_.fail("more drops are counted than the kernel had");
  if (get(Counter::rx_kernel_drops) < books.drops_told)
    world_.fail("drops that a datagram told of are not counted");
  if (client.endpoint != nullptr && !client.endpoint->drop_when_full && get(Counter::rx_ring_drops) > 0)
    world_.fail("what was to wait in the kernel was dropped for want of room");
  if (client.server || client.endpoint == nullptr) return;
  same(books.took, get(Counter::tx_datagrams), "taken by the kernel, counted as sent");
  uint64_t waits = client.endpoint->backlog.datagrams();
  same(books.submitted,
       get(Counter::tx_datagrams) + get(Counter::tx_errors) + get(Counter::tx_dropped) + waits,
       "given to send, sent and in counters");
}

// What waits in the kernel is in the list of somebody who is to look at it. In the end that is all the same
// to most: where more comes, whoever is told of that reads it all.
void Program::check_is_told(const Client& client) {
  const Socket& socket = *client.socket;
  if (socket.queue.empty() || socket.said_dead || socket.shut || !client.receives) return;
  const Endpoint::Watch& watch = client.endpoint->watch;
  // Else it is fresh, paused, or the engine will be asked again.
  if (!watch.known || (watch.interest & kReadable) == 0) return;
  Kernel& kernel = *world_.kernel;
  if (kernel.engine_set().is_listed(client.fd) || kernel.loop_set().is_listed(client.fd)) return;
  world_.fail("nobody is told of a datagram that waits in the kernel (socket " +
              std::to_string(client.id & kSocketSlotMask) + ")");
}

void Program::check() {
  if (world_.io() == World::Io::ready) return;  // it is in the middle of something
  peek();
  for (Client* client : open_) {
    check(*client);
    check_is_told(*client);
  }
  if (places_.size() > 8) world_.fail("more places than sockets");
}

void Program::check_at_rest() {
  check();
  for (Client* client : open_) {
    std::string name = "socket " + std::to_string(client->id & kSocketSlotMask) + ": ";
    const Socket& socket = *client->socket;
    if (!client->server)
      client->ledger.check_all_reported(client->row[Counter::tx_errors] + client->row[Counter::tx_dropped]);
    // What no datagram tells of is asked for, as whoever looks at the counters does.
    client->endpoint->kernel_drops.refresh(client->fd, client->endpoint->counters);
    if (world_.kernel->says_memory && client->row[Counter::rx_kernel_drops] != socket.drops)
      world_.fail(name + "not all drops of the kernel are counted");
    if (!client->endpoint->backlog.empty()) world_.fail(name + "something waits to be sent for ever");
    if (client->wants_drained) world_.fail(name + "`drained` never comes");
    if (socket.said_dead || socket.shut || !client->receives) continue;
    if (!socket.queue.empty()) world_.fail(name + "a datagram waits in the kernel for ever");
  }
  if (!seen_.empty()) world_.fail("a record waits in the ring for ever");
}

}  // namespace ksocket::simulate
