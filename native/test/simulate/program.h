// The program on JavaScript's thread: it opens sockets, sends, reads the ring, and is an event loop's turn.
// What it does next, and what the network does meanwhile, the scenario decides.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/thread/io_thread.h"
#include "simulate/kernel.h"
#include "simulate/ledger.h"
#include "simulate/sim_engine.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"

namespace ksocket::simulate {

struct Client {
  Client(World& world, uint32_t id, uint32_t keep_bytes_max) : id(id), ledger(world, id, keep_bytes_max) {}

  const uint32_t id;
  test::CounterRow row;
  Ledger ledger;
  std::shared_ptr<Endpoint> endpoint;  // null: closed
  Socket* socket = nullptr;            // null: closed
  int fd = -1;
  bool receives = false;
  bool server = false;
  bool wants_drained = false;
  uint32_t drained_due = 0;  // how often it may be said
};

class Program {
 public:
  struct Options {
    uint32_t slots = 256;
    uint32_t arena_bytes = 400'000;
    bool shares = false;  // with an event loop
    bool offloads = true;
    uint32_t gso_segments_max = kGsoSegmentsMin;  // as the kernel says; it may take less
    IoThread::Options thread;
  };
  Program(World& world, Options options);
  ~Program();

  struct Open {
    bool drop_when_full = false;
    bool gro = false, gso = false;
    bool held_elsewhere = false;
    uint32_t keep_bytes_max = kDatagramBytesMax;
    std::optional<uint64_t> connected;  // the peer's number
    enum class Server : uint8_t { none, echo, fixed, rules, guarded } server = Server::none;
  };
  Client* open(const Open& options);
  void watch(Client& client);
  void unwatch(Client& client);
  void close(Client& client);
  // New rules, if it has some: those of hosts whose bits are set echo.
  void update_rules(Client& client, uint32_t variant);

  // To the peer, `count` datagrams of `length` bytes; `asks`: every so many wants its result.
  struct Batch {
    uint32_t count = 1, length = 64, peers = 1, asks = 1;
    uint64_t peer = 0;
    bool uneven = false;
  };
  void send(Client& client, const Batch& batch);
  void notify_drained(Client& client);
  // One datagram, or a joined one, comes.
  void arrive(Client& client, uint64_t peer, uint32_t length, uint16_t segment_size);
  // A back end answers what a flow has asked.
  void answer_flows(uint32_t count);

  // Reads at most `budget` records of the ring.
  void drain(uint32_t budget);
  bool has_to_drain() const { return woken_ || comes_back_; }
  void crowd(uint32_t id) { buffers_.control().crowding = id; }
  // The event loop looks, and does what there is to do. False when nothing was.
  bool turn(uint32_t budget);
  // … or has nothing to do and sleeps.
  void sleep();
  bool sleeps() const { return world_.kernel->loop_set().sleeps(); }
  void stop();
  bool stopped() const { return stopped_; }

  // What has to hold whenever nothing is under way.
  void check();
  // Everything has come to an end, and the kernel was kind.
  void check_at_rest();

  const std::vector<Client*>& clients() const { return open_; }
  IoThread& thread() { return *thread_; }
  uint64_t records = 0;

 private:
  void peek();
  void check(Client& client);
  void check_is_told(const Client& client);
  void make_server(Client& client, Open::Server kind);
  void see(const Descriptor& record, std::span<const uint8_t> payload);
  void wake_up();
  uint64_t next_number(uint64_t peer, uint32_t count = 1);

  struct Seen {
    bool is_datagram;
    std::optional<uint64_t> number;
  };

  World& world_;
  const Options options_;
  test::RingBuffers buffers_;
  test::CounterRow thread_counters_;
  test::RingReader reader_;
  std::deque<std::unique_ptr<Client>> all_;
  std::vector<Client*> open_;
  std::vector<uint32_t> generations_;
  std::deque<Seen> seen_;  // records that were published and not read
  uint32_t peeked_ = 0;
  uint64_t numbers_ = 1;
  bool woken_ = false, comes_back_ = false, asked_before_poll_ = false, stopped_ = false;
  int loop_fd_ = -1;
  std::vector<int> places_;
  SimEngine* engine_ = nullptr;
  std::unique_ptr<IoThread> thread_;
};

}  // namespace ksocket::simulate
