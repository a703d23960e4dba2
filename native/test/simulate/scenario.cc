#include "simulate/scenario.h"

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "simulate/memory.h"
#include "simulate/payload.h"
#include "simulate/program.h"

namespace ksocket::simulate {

namespace {

// What may happen, and how often of a hundred or so.
struct Weights {
  uint8_t open, close, unwatch, arrive, large, drain, send, io, turn, sleep, time, device, trouble, drained,
      crowd, rules, answer, stop, rush;
};

struct Row {
  KindName name;
  Weights weights;
};

constexpr Row kRows[] = {
    {{"receive", Kind::receive}, {6, 2, 1, 30, 10, 12, 0, 40, 4, 0, 4, 0, 4, 0, 2, 0, 0, 0, 0}},
    {{"share", Kind::share}, {6, 3, 1, 30, 4, 3, 2, 20, 25, 20, 8, 2, 4, 0, 1, 0, 0, 0, 3}},
    {{"send", Kind::send}, {5, 2, 0, 4, 0, 8, 40, 30, 6, 0, 5, 20, 8, 4, 0, 0, 0, 0, 0}},
    {{"serve", Kind::serve}, {4, 1, 0, 35, 6, 6, 0, 40, 5, 0, 8, 10, 5, 0, 1, 4, 20, 0, 0}},
    {{"lives", Kind::lives}, {25, 20, 4, 15, 2, 6, 12, 20, 10, 5, 5, 4, 5, 2, 1, 2, 2, 1, 1}},
    {{"all", Kind::all}, {10, 4, 1, 25, 6, 10, 15, 30, 12, 6, 6, 8, 5, 2, 1, 2, 6, 0, 1}},
};
constexpr const char* kActions[] = {"open",  "close", "unwatch", "arrive", "large",  "drain",   "send",
                                    "io",    "turn",  "sleep",   "time",   "device", "trouble", "drained",
                                    "crowd", "rules", "answer",  "stop",   "rush"};
static_assert(sizeof(Weights) == std::size(kActions));

constexpr int kSocketErrors[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE, EPROTO, EACCES};
constexpr int kJoinedErrors[] = {EIO, EINVAL, EMSGSIZE, EPERM, ENOBUFS};
constexpr int kPathErrors[] = {EINVAL, EPERM, ENETUNREACH, EACCES};
constexpr uint32_t kLengths[] = {64, 8, 0, 5, 100, 512, 1200, 1472};
constexpr uint32_t kLargeLengths[] = {20'000, 65'507, 16'384, 40'000};

// Turns in a row in which nothing comes or goes: a thread looks some five hundred times before it sleeps.
constexpr uint32_t kIdleTurns = 2000;

class Scenario {
 public:
  Scenario(const Row& row, World& world, Kernel& kernel)
      : row_(row), world_(world), kernel_(kernel), decisions_(world.decisions), program_(world, options()) {}

  void step();
  void come_to_rest();
  bool ended() const { return program_.stopped(); }
  Program& program() { return program_; }

 private:
  Program::Options options();
  Client* any();
  void open();
  void arrive(bool large);
  void send();
  void trouble();
  void pass_time();
  void rush();
  void act(uint32_t action);
  void act_later(uint32_t action);

  const Row& row_;
  World& world_;
  Kernel& kernel_;
  Decisions& decisions_;
  Program program_;
};

Program::Options Scenario::options() {
  static constexpr uint32_t kMischief[] = {0, 400, 60, 15};
  kernel_.set_mischief(decisions_.one_of(kMischief));
  kernel_.says_memory = !decisions_.once_in(8);
  Program::Options out;
  static constexpr uint32_t kSlots[] = {256, 128, 1024};
  static constexpr uint32_t kArenas[] = {400'000, 140'000, 1'200'000, 700'000};
  out.slots = decisions_.one_of(kSlots);
  out.arena_bytes = decisions_.one_of(kArenas);
  Kind kind = row_.name.kind;
  out.shares =
      kind == Kind::share || ((kind == Kind::all || kind == Kind::lives) && decisions_.below(2) == 0);
  out.offloads = !decisions_.once_in(6);
  out.thread.peers_max = 64;
  if (decisions_.below(3) == 1) out.thread.moderation.usecs_max = 100;
  if (decisions_.once_in(10)) out.thread.busy_poll_us = 5;
  if (decisions_.below(2) == 0) out.gso_segments_max = kGsoSegmentsMax;
  kernel_.gso_segments_max = decisions_.once_in(6) ? kGsoSegmentsMin : out.gso_segments_max;
  return out;
}

Client* Scenario::any() {
  const auto& clients = program_.clients();
  return clients.empty() ? nullptr : clients[decisions_.below(static_cast<uint32_t>(clients.size()))];
}

void Scenario::open() {
  Program::Open options;
  options.drop_when_full = decisions_.once_in(3);
  options.gro = decisions_.below(2) == 0;
  options.gso = decisions_.below(4) != 3;
  options.held_elsewhere = decisions_.once_in(12);
  if (decisions_.once_in(5)) options.keep_bytes_max = decisions_.between(1, 600);
  if (decisions_.once_in(6)) options.connected = decisions_.below(8);
  using Server = Program::Open::Server;
  static constexpr Server kServers[] = {Server::rules, Server::echo, Server::guarded, Server::fixed};
  Kind kind = row_.name.kind;
  bool serves = kind == Kind::serve ? !decisions_.once_in(5)
                                    : (kind == Kind::all || kind == Kind::lives) && decisions_.once_in(4);
  if (serves) {
    options.server = decisions_.one_of(kServers);
    options.connected.reset();
  }
  Client* client = program_.open(options);
  if (client == nullptr) return;
  if (decisions_.once_in(8)) client->socket->tells_ttl = true;
  if (decisions_.once_in(8)) client->socket->foreign_control = true;
  if (decisions_.once_in(4)) client->socket->queue_max = decisions_.between(1, 32);
  if (decisions_.once_in(3)) client->socket->send_bytes_max = decisions_.between(1000, 20'000);
  if (!decisions_.once_in(10)) program_.watch(*client);
}

void Scenario::arrive(bool large) {
  Client* client = any();
  if (client == nullptr) return;
  uint64_t peer = decisions_.below(32);
  uint32_t count = large ? decisions_.between(1, 12) : decisions_.once_in(6) ? 80 : decisions_.between(1, 8);
  uint32_t length = large ? decisions_.one_of(kLargeLengths) : decisions_.one_of(kLengths);
  uint16_t segment = 0;
  if (decisions_.once_in(3)) segment = static_cast<uint16_t>(decisions_.between(8, 1472));
  if (segment != 0) {
    length = std::min({length, 65'507u, segment * 100u});
    if (length <= segment && !large) length = segment * decisions_.between(2, 20);
    length = std::min(length, 65'507u);
    if (length % segment != 0 && length % segment < 8) length -= length % segment;
  }
  bool same = decisions_.below(2) == 0;
  for (uint32_t i = 0; i < count; i++) program_.arrive(*client, same ? peer : peer + i, length, segment);
}

void Scenario::send() {
  Client* client = any();
  if (client == nullptr || client->server) return;
  Program::Batch batch;
  batch.count = decisions_.once_in(12) ? decisions_.between(60, 600) : decisions_.between(1, 12);
  batch.length = decisions_.one_of(kLengths);
  if (decisions_.once_in(20))
    batch.length = decisions_.one_of(kLargeLengths), batch.count = 1 + batch.count % 4;
  batch.peers = decisions_.between(1, 4);
  batch.peer = decisions_.below(32);
  batch.asks = decisions_.between(1, 3);
  batch.uneven = decisions_.below(2) == 1;
  if (client->socket->peer.family != 0) batch.peer = client->socket->peer.bytes[3];
  program_.send(*client, batch);
}

void Scenario::trouble() {
  Client* client = any();
  Kernel::Path& path = kernel_.path(decisions_.below(kHosts));
  switch (decisions_.below(8)) {
    case 0:
      path = {};
      return;
    case 1:
      path.joined_error = decisions_.one_of(kJoinedErrors);
      return;
    case 2:
      path.mtu = decisions_.between(60, 1400);
      return;
    case 3:
      path.error = decisions_.below(2) == 0 ? 0 : decisions_.one_of(kPathErrors);
      return;
    case 4:
      if (client != nullptr) kernel_.break_off(client->fd, decisions_.one_of(kSocketErrors));
      return;
    case 5:
      if (client != nullptr) kernel_.queue_errors(client->fd, decisions_.between(1, 3));
      return;
    case 6:
      world_.set_realtime_offset(static_cast<int64_t>(decisions_.below(60'000)) * 60'000'000'000);
      return;
    default:
      if (client != nullptr && decisions_.once_in(8)) kernel_.shut_down(client->fd);
      kernel_.set_limit(decisions_.once_in(3) ? kernel_.open_count() + decisions_.below(3) : SIZE_MAX);
  }
}

void Scenario::pass_time() {
  static constexpr uint64_t kTimes[] = {1'000,       50'000,        400'000,       2'500'000,
                                        130'000'000, 1'100'000'000, 11'000'000'000};
  world_.pass(decisions_.one_of(kTimes));
}

// One comes for a loop that sleeps, and before it runs so many for others that the thread takes over.
void Scenario::rush() {
  program_.sleep();
  if (Client* client = any()) program_.arrive(*client, decisions_.below(32), 64, 0);
  for (uint32_t bursts = decisions_.between(1, 4); bursts > 0; bursts--) {
    Client* other = any();
    for (uint32_t i = 0; other != nullptr && i < 48; i++) program_.arrive(*other, i, 64, 0);
    for (int round = 0; round < 2; round++) world_.run_io_in_time();
  }
}

void Scenario::act_later(uint32_t action) {
  Client* client = any();
  switch (action) {
    case 12:
      return trouble();
    case 13:
      if (client != nullptr && !client->server) program_.notify_drained(*client);
      return;
    case 14:
      return program_.crowd(client != nullptr && decisions_.below(2) == 0 ? client->id : 0);
    case 15:
      if (client != nullptr && client->server) program_.update_rules(*client, decisions_.below(20));
      return;
    case 16:
      return program_.answer_flows(decisions_.between(1, 6));
    case 17:
      return decisions_.once_in(10) ? program_.stop() : void();
    default:
      return rush();
  }
}

void Scenario::act(uint32_t action) {
  switch (action) {
    case 0:
      return open();
    case 1:
      if (Client* client = any()) program_.close(*client);
      return;
    case 2:
      if (Client* client = any(); client != nullptr && client->receives) program_.unwatch(*client);
      return;
    case 3:
      return arrive(false);
    case 4:
      return arrive(true);
    case 5:
      return program_.drain(decisions_.once_in(3) ? decisions_.between(1, 20) : UINT32_MAX);
    case 6:
      return send();
    case 7:
      if (!world_.io_can_run() && decisions_.below(2) == 0) {
        world_.run_io_in_time();
      } else {
        world_.run_io();
      }
      return;
    case 8:
      program_.turn(decisions_.once_in(3) ? decisions_.between(1, 20) : UINT32_MAX);
      return;
    case 9:
      return program_.sleep();
    case 10:
      return pass_time();
    case 11:
      if (Client* client = any()) kernel_.send_out(client->fd, decisions_.between(500, 50'000));
      return;
    default:
      return act_later(action);
  }
}

void Scenario::step() {
  if (program_.clients().empty()) open();
  const auto* weights = reinterpret_cast<const uint8_t*>(&row_.weights);
  uint32_t sum = 0;
  for (size_t i = 0; i < sizeof(Weights); i++) sum += weights[i];
  uint32_t chosen = decisions_.below(sum), action = 0;
  while (chosen >= weights[action]) chosen -= weights[action++];
  world_.trace("— %s", kActions[action]);
  act(action);
  program_.check();
}

// Nobody is told anything that the real ones would not be told.
void Scenario::come_to_rest() {
  world_.trace("— rest");
  decisions_.end();
  kernel_.be_kind();
  if (ended()) return;
  program_.crowd(0);
  auto progress = [&] { return kernel_.handed_out + kernel_.taken + program_.records; };
  uint64_t latest = progress();
  for (uint32_t idle = 0; idle < kIdleTurns; idle++) {
    bool did = program_.turn(UINT32_MAX);
    if (!did) program_.sleep();
    if (world_.io_can_run()) {
      world_.run_io();
    } else if (!did && !world_.run_io_in_time()) {
      break;
    }
    if (progress() != latest) idle = 0;
    latest = progress();
  }
  program_.check_at_rest();
}

}  // namespace

std::span<const KindName> kinds() {
  static const KindName* names = [] {
    static KindName all[std::size(kRows)];
    for (size_t i = 0; i < std::size(kRows); i++) all[i] = kRows[i].name;
    return all;
  }();
  return {names, std::size(kRows)};
}

Result run(Kind kind, Decisions& decisions, uint64_t steps, bool traces) {
  Result out;
  uint64_t before = live_bytes();
  {
    World world(decisions);
    world.traces = traces;
    Kernel kernel(world);
    {
      Scenario scenario(kRows[static_cast<size_t>(kind)], world, kernel);
      // Short ones, too: what is left waiting shows in the end.
      static constexpr uint64_t kSteps[] = {600, 60, 150, 300};
      steps = std::min(steps, decisions.one_of(kSteps));
      while (out.steps < steps && !decisions.used_up() && !scenario.ended() && !world.failed()) {
        scenario.step();
        out.steps++;
        if (live_bytes() - before > kLiveBytesMax) world.fail("takes more and more memory");
      }
      if (!world.failed()) scenario.come_to_rest();
      out.records = scenario.program().records;
    }
    if (kernel.open_count() > 0) world.fail("a descriptor is left open");
    out.failure = world.failure();
    out.received = kernel.handed_out;
    out.sent = kernel.taken;
    out.calls = kernel.calls;
  }
  return out;
}

}  // namespace ksocket::simulate
