#include "explore/weak_memory.h"

#include <algorithm>
#include <cstdlib>

namespace ksocket::explore {

namespace {

constexpr size_t kStackBytes = 64 * 1024;
// A schedule of more is one without end.
constexpr uint64_t kAccessesMax = 20'000;

bool acquires(std::memory_order order) {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}
bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

}  // namespace

Explorer* Explorer::current_ = nullptr;

Explorer::Explorer() : words_(kWordsMax) {
  for (Fiber& fiber : fibers_) fiber.stack = std::make_unique<char[]>(kStackBytes);
  current_ = this;
}

Explorer::~Explorer() {
  current_ = nullptr;
}

void Explorer::begin(uint64_t seed) {
  random_.seed(seed);
  // Some faults need many switches, others few at the right places.
  stay_ = 1u << (1 + below(5));
  stale_ = 1u << (1 + below(4));
  threads_ = 0;
  word_count_ = 0;
  regions_.clear();
  bytes_.clear();
  accesses_begun_ = accesses_;
  failure_.clear();
}

void Explorer::start(std::function<void()> body) {
  Fiber& fiber = fibers_[threads_];
  fiber.body = std::move(body);
  fiber.view = {};
  fiber.view.clock[threads_] = 1;
  fiber.ended = false;
  fiber.waits_for = nullptr;
  getcontext(&fiber.context);
  fiber.context.uc_stack = {fiber.stack.get(), 0, kStackBytes};
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, &Explorer::enter, 0);
  threads_++;
}

void Explorer::run() {
  current_ = this;
  running_ = below(static_cast<uint32_t>(threads_));
  swapcontext(&main_, &fibers_[running_].context);
}

void Explorer::enter() {
  Explorer& self = *current_;
  self.fibers_[self.running_].body();
  self.fibers_[self.running_].ended = true;
  self.reschedule();
}

void Explorer::switch_to(size_t next) {
  size_t before = running_;
  if (next == before) return;
  running_ = next;
  swapcontext(&fibers_[before].context, &fibers_[next].context);
}

// Gives the processor to one that can go on, or ends the run.
void Explorer::reschedule() {
  std::array<size_t, kThreadsMax> ready;
  uint32_t count = 0;
  for (size_t i = 0; i < threads_; i++) {
    const Fiber& fiber = fibers_[i];
    if (!fiber.ended && (fiber.waits_for == nullptr || *fiber.waits_for)) ready[count++] = i;
  }
  if (count == 0) setcontext(&main_);
  switch_to(ready[below(count)]);
}

// Before each access.
void Explorer::point() {
  if (++accesses_ - accesses_begun_ > kAccessesMax) fail("does not end");
  if (below(stay_) == 0) reschedule();
}

void Explorer::fail(const std::string& what) {
  failure_ = what;
  setcontext(&main_);
  std::abort();
}

// ---- atomics

size_t Explorer::word_of(uint32_t& word) {
  for (size_t i = 0; i < word_count_; i++) {
    if (words_[i].at == &word) return i;
  }
  if (word_count_ == kWordsMax) fail("more words than kWordsMax");
  Word& added = words_[word_count_];
  added.at = &word;
  added.stores.clear();
  added.stores.push_back({word, 0, false, {}});
  added.sc_floor = 0;
  return word_count_++;
}

// The oldest place in the modification order that is not hidden from this thread.
uint16_t Explorer::least_place(size_t word, bool sc) {
  const Word& of = words_[word];
  uint16_t place = of.stores[view().store[word]].place;
  return sc ? std::max(place, of.stores[of.sc_floor].place) : place;
}

// One that may be seen; one time of `stale_` not the latest.
size_t Explorer::choose_store(size_t word, uint16_t oldest_place, bool for_rmw) {
  const std::vector<Store>& stores = words_[word].stores;
  std::array<size_t, 64> found;
  uint32_t count = 0;
  size_t latest = 0;
  for (size_t i = 0; i < stores.size(); i++) {
    if (stores[i].place >= stores[latest].place) latest = i;
    if (stores[i].place < oldest_place || (for_rmw && stores[i].has_rmw)) continue;
    if (count < found.size()) found[count++] = i;
  }
  return below(stale_) == 0 ? found[below(count)] : latest;
}

void Explorer::add_store(size_t word, uint16_t place, Store store) {
  Word& of = words_[word];
  for (Store& each : of.stores) {
    if (each.place >= place) each.place++;
  }
  store.place = place;
  of.stores.push_back(store);
  *of.at = std::max_element(of.stores.begin(), of.stores.end(), [](const Store& a, const Store& b) {
             return a.place < b.place;
           })->value;
}

void Explorer::join(View& into, const View& other, const std::vector<Word>& words, size_t count) {
  for (size_t i = 0; i < kThreadsMax; i++) into.clock[i] = std::max(into.clock[i], other.clock[i]);
  for (size_t i = 0; i < count; i++) {
    const std::vector<Store>& stores = words[i].stores;
    if (stores[other.store[i]].place > stores[into.store[i]].place) into.store[i] = other.store[i];
  }
}

// This thread has read that store.
void Explorer::see(size_t word, size_t store, bool acquire) {
  view().store[word] = static_cast<uint16_t>(store);
  if (acquire) join(view(), words_[word].stores[store].released, words_, word_count_);
}

uint32_t Explorer::load(uint32_t& at, std::memory_order order) {
  point();
  size_t word = word_of(at);
  bool sc = order == std::memory_order_seq_cst;
  size_t chosen = choose_store(word, least_place(word, sc), false);
  see(word, chosen, acquires(order));
  if (sc) words_[word].sc_floor = static_cast<uint16_t>(chosen);
  return words_[word].stores[chosen].value;
}

void Explorer::store(uint32_t& at, uint32_t value, std::memory_order order) {
  point();
  size_t word = word_of(at);
  bool sc = order == std::memory_order_seq_cst;
  // Behind any that is not hidden, but not between a store and the read-modify-write that read it.
  const Word& of = words_[word];
  uint16_t least = static_cast<uint16_t>(least_place(word, sc) + 1),
           last = static_cast<uint16_t>(of.stores.size());
  uint16_t place = last;
  if (least < last && below(stale_) == 0) place = static_cast<uint16_t>(least + below(last - least + 1u));
  while (std::any_of(of.stores.begin(), of.stores.end(),
                     [&](const Store& each) { return each.has_rmw && each.place + 1 == place; })) {
    place++;
  }
  View released{};
  if (releases(order)) released = view();
  uint16_t id = static_cast<uint16_t>(of.stores.size());
  if (releases(order)) released.store[word] = id;
  add_store(word, place, {value, place, false, released});
  view().store[word] = id;
  view().clock[running_]++;
  if (sc) words_[word].sc_floor = id;
}

uint32_t Explorer::exchange(uint32_t& at, uint32_t value, std::memory_order order) {
  point();
  size_t word = word_of(at);
  bool sc = order == std::memory_order_seq_cst;
  size_t chosen = choose_store(word, least_place(word, sc), true);
  uint32_t before = words_[word].stores[chosen].value;
  see(word, chosen, acquires(order));
  // It goes on with the release sequence of what it read.
  View released = words_[word].stores[chosen].released;
  if (releases(order)) join(released, view(), words_, word_count_);
  words_[word].stores[chosen].has_rmw = true;
  uint16_t id = static_cast<uint16_t>(words_[word].stores.size());
  if (releases(order)) released.store[word] = id;
  uint16_t place = static_cast<uint16_t>(words_[word].stores[chosen].place + 1);
  add_store(word, place, {value, place, false, released});
  view().store[word] = id;
  view().clock[running_]++;
  if (sc) words_[word].sc_floor = id;
  return before;
}

// ---- other memory

void Explorer::watch(const void* memory, size_t bytes) {
  regions_.push_back({static_cast<const uint8_t*>(memory), bytes, bytes_.size()});
  bytes_.resize(bytes_.size() + bytes);
}

void Explorer::note(const void* at, size_t count, bool write) {
  const uint8_t* from = static_cast<const uint8_t*>(at);
  for (const Region& region : regions_) {
    if (from < region.memory || from + count > region.memory + region.bytes) continue;
    const View& seen = view();
    Byte* byte = &bytes_[region.first + static_cast<size_t>(from - region.memory)];
    for (Byte* end = byte + count; byte != end; byte++) {
      if (byte->written > seen.clock[byte->writer])
        fail(write ? "two writes at once" : "read while it is written");
      if (write) {
        for (size_t i = 0; i < threads_; i++) {
          if (byte->read[i] > seen.clock[i]) fail("written while it is read");
        }
        byte->writer = static_cast<uint8_t>(running_);
        byte->written = seen.clock[running_];
      } else {
        byte->read[running_] = seen.clock[running_];
      }
    }
    return;
  }
  fail("memory that nobody watches");
}

// ---- signals

void Signal::set() {
  Explorer& explorer = Explorer::current();
  explorer.point();
  Explorer::join(released_, explorer.view(), explorer.words_, explorer.word_count_);
  explorer.view().clock[explorer.running_]++;
  set_ = true;
}

bool Signal::take() {
  Explorer& explorer = Explorer::current();
  explorer.point();
  if (!set_) return false;
  set_ = false;
  Explorer::join(explorer.view(), released_, explorer.words_, explorer.word_count_);
  return true;
}

void Signal::wait() {
  Explorer& explorer = Explorer::current();
  while (!take()) {
    explorer.fibers_[explorer.running_].waits_for = &set_;
    explorer.reschedule();
    explorer.fibers_[explorer.running_].waits_for = nullptr;
  }
}

}  // namespace ksocket::explore
