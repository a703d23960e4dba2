// The part of a server that answers in the kernel: its programs, their maps, where they are attached, and
// what they have counted.
//
//   prepare(): compile, load ──▶ commit(): attach, or swap ──▶ … ──▶ stop(): detach
//
// A datagram is decided by the program that the kernel met it with, whole, or passed up and then decided by
// the thread, whole: so neither set of rules has to know when the other one is swapped.
//
// prepare(), commit(), stop() and numbers() are for one thread at a time, all others for any. One of its own
// follows interfaces and addresses, and reads counters about once a second.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/memory/counters.h"
#include "core/socket/link_follower.h"
#include "core/xdp/address_table.h"
#include "core/xdp/attachment.h"
#include "core/xdp/compile.h"
#include "core/xdp/load.h"
#include "core/xdp/numbers.h"

namespace ksocket::xdp {

class KernelAnswers {
 public:
  struct Options {
    Attachment::Options where;
    CompileOptions compile;
  };
  // -errno, and what is missing, as errors say it.
  struct Failure {
    int error = 0;
    std::string needs;
  };
  // Of an interface that is wanted.
  struct Place {
    std::string name;
    Mode mode;
    int error;
    const char* reason;
  };
  // What becomes of the rules that are in force.
  struct Fates {
    std::vector<RuleFate> rules;
    RuleFate otherwise;
    std::string refused;
  };

  // Counts into this row, which nobody else writes.
  KernelAnswers(Options options, Counters counters);
  ~KernelAnswers() { stop(); }

  // Compiles and loads; until commit() everything is as it was. `same_lists`: `protection` has those of the
  // commit before. What a rule of the same name has counted goes on. Where nothing can be compiled it is no
  // error, and `needs` says why. It takes long, and may run on any thread while others ask what is counted.
  Failure prepare(const rules::RuleSpec& spec, std::vector<std::string> names, const Protection& protection,
                  bool same_lists);
  // What is prepared is in force when this returns: attached wherever it can be, which places() tells.
  // Attaching to an interface takes some 10 ms, for which others wait; what only swaps is quick.
  Failure commit();
  // Nothing is attached any more when this returns; the counters have everything. It may be prepared and
  // committed again: rules keep what they have counted.
  void stop();
  // And other rules are in force than it had, which the thread alone decides by.
  void stop_for(std::vector<std::string> names);
  // Replies that rules of these names have made before the first commit(), somewhere else.
  void set_numbers(std::map<std::string, uint64_t> numbers) { numbers_.begin(std::move(numbers)); }

  std::vector<Place> places();
  Fates fates();
  // How often each rule has matched what the kernel has decided, in their order; after stop() until then.
  std::vector<uint64_t> hits();
  // How many replies each rule has made, likewise.
  std::map<std::string, uint64_t> numbers();
  // The row has everything up to now.
  void count();

 private:
  struct Limits {
    std::optional<RateLimit> per_source, total, repeats;
    uint32_t sources = 0;
    bool operator==(const Limits&) const = default;
  };
  struct Set {
    Loaded loaded;
    std::vector<std::string> names;  // of rules
    Limits limits;
  };
  // Programs that were swapped may still be at work for a moment.
  struct Retired {
    std::shared_ptr<Loaded::Map> hits;
    std::vector<std::string> names;
  };

  static Options seeded(Options options);
  int follow(const LinksGone* gone);
  int adjust();
  int set_addresses(const std::vector<Interface>& present);
  Failure given_up(int error, const char* needs);
  void set_clock();
  void retire(Set before);
  void forget_retired(size_t left);
  bool is_present(const std::string& name) const;
  void count_locked();
  std::map<std::string, uint64_t> all_hits() const;
  std::vector<uint64_t> read_hits(const Loaded::Map& map, size_t rules) const;

  const Options options_;
  const Counters counters_;
  const int cpus_;
  const uint64_t epoch_ns_;  // of the buckets
  Numbers numbers_;
  std::optional<Set> next_;  // prepared
  Fates next_fates_;

  std::mutex mutex_;  // of all that follows
  std::optional<Set> present_;
  Fates fates_;
  Attachment attachment_;
  AddressTable addresses_;
  KernelCounters counted_;
  std::deque<Retired> retired_;
  std::map<std::string, uint64_t> past_;  // hits of maps that are gone, by the rules' names
  std::vector<std::string> last_names_;   // of the rules that were in force when it stopped
  uint64_t clock_offset_ns_ = 0;          // as the map has it
  uint32_t quick_looks_ = 0;
  bool is_behind_ = false;  // what the interfaces are could not be found out

  LinkFollower follower_;
};

}  // namespace ksocket::xdp
