#include "core/xdp/kernel_answers.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/answer/protection/source.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/xdp/bpf_call.h"
#include "core/xdp/probe.h"

namespace ksocket::xdp {

namespace {

// The program's clock may be another one than this process's (time_namespaces(7)), and a bucket that is all
// zeroes has to be a full one.
constexpr uint64_t kBeforeEpochNs = uint64_t{1} << 54;
constexpr int kLookMs = 1000;
// Who has an interface may be about to leave it to us, as a process that has handed its server over.
constexpr int kQuickLookMs = 20;
constexpr uint32_t kQuickLooks = 250;
constexpr size_t kRetiredMax = 8;
// What reading two clocks one behind the other may differ by.
constexpr uint64_t kClockToleranceNs = 2000;

size_t rounded(size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

// 0 where the kernel cannot say.
uint64_t offset_to_realtime(CompileOptions::Clock clock) {
  clockid_t id = clock == CompileOptions::Clock::tai ? CLOCK_TAI : CLOCK_MONOTONIC;
  uint64_t before = clock_ns(CLOCK_REALTIME), now = clock_ns(id), after = clock_ns(CLOCK_REALTIME);
  return before + (after - before) / 2 - now;
}

Route route_of(const KernelAnswers::Options& options) {
  const Address& own = options.where.own;
  Route out{options.compile.port, options.compile.ipv4, options.compile.ipv6, {}, {}};
  if (is_unspecified(own)) return out;
  if (std::optional<uint32_t> ipv4 = ipv4_number(own)) {
    std::array<uint8_t, 4>& to = out.ipv4_address.emplace();
    for (size_t i = 0; i < to.size(); i++) to[i] = static_cast<uint8_t>(*ipv4 >> (24 - 8 * i));
  } else {
    std::copy_n(own.bytes, 16, out.ipv6_address.emplace().begin());
  }
  return out;
}

}  // namespace

// The hashes of one set of rules are found by the next one.
KernelAnswers::Options KernelAnswers::seeded(Options options) {
  if (options.compile.seed == 0) options.compile.seed = random_seed();
  return options;
}

KernelAnswers::KernelAnswers(Options options, Counters counters)
    : options_(seeded(std::move(options))),
      counters_(counters),
      cpus_(possible_cpus()),
      epoch_ns_(clock_ns(CLOCK_MONOTONIC) - kBeforeEpochNs),
      attachment_(options_.where, route_of(options_)),
      addresses_(options_.where.own, options_.compile.ipv4, options_.compile.ipv6),
      follower_("ksocket-kernel", [this](const LinksGone* gone) { return follow(gone); }) {}

KernelAnswers::Failure KernelAnswers::prepare(const rules::RuleSpec& spec, std::vector<std::string> names,
                                              const Protection& protection, bool same_lists) {
  next_.reset();
  if (cpus_ < 0) return {cpus_, "/sys/devices/system/cpu/possible"};
  Probed probed = present_ ? Probed{} : probe_kernel_answers();
  if (probed.error != 0) return {probed.error, probed.needs};
  Set next{{},
           std::move(names),
           {protection.per_source, protection.total, protection.repeats, protection.sources}};
  Kept kept;
  auto keep = [&](std::initializer_list<MapId> ids) {
    for (MapId id : ids) kept.keep(id, present_->loaded.map(id));
  };
  if (present_) {
    keep({MapId::addresses, MapId::options, MapId::counters, MapId::scratch, MapId::generic});
    if (same_lists) keep({MapId::deny, MapId::allow});
    if (next.limits == present_->limits)
      keep({MapId::per_source, MapId::total, MapId::exchanges, MapId::seen});
    if (next.names == present_->names) keep({MapId::hits});
  }
  kept.keep(MapId::numbers, numbers_.map());
  CompileOptions how = options_.compile;
  how.numbers = numbers_.places_of(next.names, present_ ? present_->names : std::vector<std::string>());
  how.numbers_max = Numbers::kPlaces;
  CompiledRules compiled = compile(spec, protection, how);
  std::string log;
  int error = load(compiled, kept, &next.loaded, &log);
  if (error != 0) {
    return {error, log.empty() ? needs_for(error) : "a verifier that takes the program; it says: " + log};
  }
  numbers_.loaded(next.loaded.map(MapId::numbers));
  next_fates_ = {std::move(compiled.rules), std::move(compiled.otherwise), std::move(compiled.refused)};
  next_ = std::move(next);
  return {0, next_fates_.refused};
}

KernelAnswers::Failure KernelAnswers::commit() {
  if (!next_) return {-EINVAL, "something that is prepared"};
  std::unique_lock lock(mutex_);
  Set next = std::move(*next_);
  next_.reset();
  fates_ = std::move(next_fates_);
  bool same_addresses =
      present_ && present_->loaded.map(MapId::addresses) == next.loaded.map(MapId::addresses);
  if (present_ && present_->loaded.map(MapId::counters) != next.loaded.map(MapId::counters)) {
    count_locked();
    counted_ = {};
  }
  std::optional<Set> before = std::exchange(present_, std::move(next));
  if (!same_addresses) addresses_.begin();
  clock_offset_ns_ = UINT64_MAX / 2;
  set_clock();
  bool answers = present_->loaded.program() >= 0;
  if (!answers) attachment_.detach();
  std::vector<Interface> interfaces;
  if (answers && !same_addresses && list_interfaces(&interfaces) == 0) set_addresses(interfaces);
  int error = answers ? attachment_.lead_to(present_->loaded.program(), present_->loaded.left.get()) : 0;
  if (before) retire(std::move(*before));
  if (error != 0) return given_up(error, "room for one more server in this process");
  // First what tells of changes, then how things are.
  lock.unlock();
  if (answers) error = follower_.start(kQuickLookMs);
  lock.lock();
  if (error == 0 && answers) error = adjust();
  return error == 0 ? Failure{} : given_up(error, "a netlink socket that hears of interfaces");
}

// The caller holds the lock.
KernelAnswers::Failure KernelAnswers::given_up(int error, const char* needs) {
  attachment_.detach();
  return {error, needs};
}

void KernelAnswers::stop() {
  follower_.stop();
  std::lock_guard lock(mutex_);
  attachment_.detach();
  count_locked();
  if (present_) {
    past_ = all_hits();
    last_names_ = std::move(present_->names);
  }
  retired_.clear();
  present_.reset();
  counted_ = {};
  next_.reset();
}

void KernelAnswers::stop_for(std::vector<std::string> names) {
  stop();
  std::erase_if(past_, [&](const auto& each) { return std::ranges::find(names, each.first) == names.end(); });
  last_names_ = std::move(names);
}

std::vector<KernelAnswers::Place> KernelAnswers::places() {
  std::lock_guard lock(mutex_);
  std::vector<Place> out;
  for (const Attachment::Place& place : attachment_.places())
    out.push_back({place.name, place.mode, place.error, place.reason});
  return out;
}

KernelAnswers::Fates KernelAnswers::fates() {
  std::lock_guard lock(mutex_);
  return fates_;
}

// ---- what is followed

// On the thread of its own.
int KernelAnswers::follow(const LinksGone* gone) {
  std::lock_guard lock(mutex_);
  set_clock();
  count_locked();
  forget_retired(0);
  if (!present_ || present_->loaded.program() < 0) return kLookMs;
  bool waits = attachment_.waits();
  // What could not be found out is asked for again.
  if (gone != nullptr || waits || is_behind_) is_behind_ = adjust() != 0;
  return (waits || is_behind_) && quick_looks_++ < kQuickLooks ? kQuickLookMs : kLookMs;
}

// The caller holds the lock. An address is known before datagrams to it are met, and forgotten as soon.
int KernelAnswers::adjust() {
  std::vector<Interface> present;
  if (int error = list_interfaces(&present)) return error;
  int error = set_addresses(present);
  const auto& generic = present_->loaded.map(MapId::generic);
  attachment_.follow(present, generic ? generic->fd.get() : -1);
  return error;
}

int KernelAnswers::set_addresses(const std::vector<Interface>& present) {
  const auto& map = present_->loaded.map(MapId::addresses);
  return map ? addresses_.follow(map->fd.get(), present) : 0;
}

// Time is what the program's clock says and an offset, which changes when somebody sets the clock.
void KernelAnswers::set_clock() {
  if (!present_) return;
  const auto& map = present_->loaded.map(MapId::options);
  if (!map) return;
  uint64_t offset = offset_to_realtime(options_.compile.clock);
  uint64_t differs = offset > clock_offset_ns_ ? offset - clock_offset_ns_ : clock_offset_ns_ - offset;
  if (differs <= kClockToleranceNs) return;
  clock_offset_ns_ = offset;
  uint32_t first = 0;
  xdp::Options value{offset, epoch_ns_};
  set_element(map->fd.get(), &first, &value);
}

// ---- what is counted

void KernelAnswers::retire(Set before) {
  const auto& hits = before.loaded.map(MapId::hits);
  if (hits && hits != present_->loaded.map(MapId::hits)) retired_.push_back({hits, std::move(before.names)});
  forget_retired(kRetiredMax);
  std::erase_if(past_, [this](const auto& each) { return !is_present(each.first); });
}

bool KernelAnswers::is_present(const std::string& name) const {
  return std::find(present_->names.begin(), present_->names.end(), name) != present_->names.end();
}

void KernelAnswers::forget_retired(size_t left) {
  while (retired_.size() > left) {
    const Retired& oldest = retired_.front();
    std::vector<uint64_t> hits = read_hits(*oldest.hits, oldest.names.size());
    for (size_t i = 0; i < hits.size(); i++) {
      if (hits[i] > 0 && is_present(oldest.names[i])) past_[oldest.names[i]] += hits[i];
    }
    retired_.pop_front();
  }
}

std::vector<uint64_t> KernelAnswers::read_hits(const Loaded::Map& map, size_t rules) const {
  std::vector<uint64_t> out(rules), each(static_cast<size_t>(cpus_));
  for (uint32_t i = 0; i < rules && i < map.spec.max_entries; i++) {
    if (get_element(map.fd.get(), &i, each.data()) != 0) continue;
    for (uint64_t hits : each) out[i] += hits;
  }
  return out;
}

std::vector<uint64_t> KernelAnswers::hits() {
  std::lock_guard lock(mutex_);
  std::vector<uint64_t> out;
  std::map<std::string, uint64_t> all = present_ ? all_hits() : past_;
  for (const std::string& name : present_ ? present_->names : last_names_) out.push_back(all[name]);
  return out;
}

// By the names of rules, also of some that there are no more.
std::map<std::string, uint64_t> KernelAnswers::all_hits() const {
  std::map<std::string, uint64_t> out = past_;
  auto add = [&](const Loaded::Map& map, const std::vector<std::string>& names) {
    std::vector<uint64_t> hits = read_hits(map, names.size());
    for (size_t i = 0; i < hits.size(); i++) out[names[i]] += hits[i];
  };
  for (const Retired& retired : retired_) add(*retired.hits, retired.names);
  if (const auto& map = present_->loaded.map(MapId::hits)) add(*map, present_->names);
  return out;
}

std::map<std::string, uint64_t> KernelAnswers::numbers() {
  return numbers_.all();
}

void KernelAnswers::count() {
  std::lock_guard lock(mutex_);
  count_locked();
}

void KernelAnswers::count_locked() {
  if (!present_) return;
  const auto& map = present_->loaded.map(MapId::counters);
  if (!map) return;
  constexpr size_t kCount = sizeof(KernelCounters) / sizeof(uint64_t);
  size_t each = rounded(map->spec.value_size) / sizeof(uint64_t);
  std::vector<uint64_t> values(each * static_cast<size_t>(cpus_));
  uint32_t first = 0;
  if (each < kCount || get_element(map->fd.get(), &first, values.data()) != 0) return;
  uint64_t sums[kCount] = {};
  for (size_t i = 0; i < values.size(); i++) {
    if (i % each < kCount) sums[i % each] += values[i];
  }
  KernelCounters now;
  std::memcpy(&now, sums, sizeof now);
  KernelCounters more = now;
#define X(name, doc) more.name -= counted_.name;
  KSOCKET_KERNEL_COUNTERS(X)
#undef X
  counted_ = now;
  uint64_t drops = more.rule_drops + more.denied + more.limited + more.limited_total + more.loop_repeats +
                   more.refused_replies;
  counters_.add(Counter::rule_drops, more.rule_drops);
  counters_.add(Counter::denied, more.denied);
  counters_.add(Counter::limited, more.limited);
  counters_.add(Counter::limited_total, more.limited_total);
  counters_.add(Counter::loop_repeats, more.loop_repeats);
  counters_.add(Counter::refused_replies, more.refused_replies);
  counters_.add(Counter::replies, more.answered);
  counters_.add(Counter::kernel_requests, more.answered + drops);
  counters_.add(Counter::kernel_request_bytes, more.requests_bytes);
  counters_.add(Counter::kernel_replies, more.answered);
  counters_.add(Counter::kernel_reply_bytes, more.answered_bytes);
  counters_.add(Counter::kernel_passed, more.passed);
}

}  // namespace ksocket::xdp
