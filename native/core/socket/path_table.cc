#include "core/socket/path_table.h"

#include <cstring>

#include "core/base/hash.h"

namespace ksocket {

namespace {

// More than there are names at most, so that few share a bucket.
uint32_t buckets_for(uint32_t names) {
  uint32_t buckets = 1;
  while (buckets < names) buckets *= 2;
  return buckets;
}

}  // namespace

PathTable::PathTable(uint32_t names_max)
    : names_max_(names_max), seed_(random_seed()), buckets_(buckets_for(names_max), kNone) {}

PathTable& PathTable::of_process() {
  // Never destroyed: threads may still be at work while the process exits.
  static PathTable* table = new PathTable;
  return *table;
}

uint64_t PathTable::hash(std::string_view name) const {
  uint64_t h = seeded_hash(seed_, {name.size()});
  for (size_t at = 0; at < name.size(); at += 8) {
    uint64_t part = 0;
    std::memcpy(&part, name.data() + at, std::min<size_t>(8, name.size() - at));
    h = seeded_hash(h, {part});
  }
  return h;
}

uint64_t PathTable::number_of(std::string_view name, uint32_t holds) {
  if (name.empty()) return 0;
  uint64_t of_name = hash(name);
  std::lock_guard lock(mutex_);
  uint32_t place = *bucket_of(of_name);
  while (place != kNone && (entries_[place].hash != of_name || entries_[place].name != name)) {
    place = entries_[place].next;
  }
  if (place != kNone) {
    use(place);
  } else {
    place = room();
    if (place == kNone) return 0;
    Entry& entry = entries_[place];
    entry.name = name;
    entry.hash = of_name;
    uint32_t* bucket = bucket_of(of_name);
    entry.next = *bucket;
    *bucket = place;
    put_newest(place);
  }
  entries_[place].holds += holds;
  return uint64_t{entries_[place].generation} << 32 | place;
}

bool PathTable::hold(uint64_t number) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(number);
  if (entry != nullptr) entry->holds++;
  return entry != nullptr;
}

void PathTable::release(uint64_t number) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(number);
  if (entry != nullptr && entry->holds > 0) entry->holds--;
}

std::string PathTable::name_of(uint64_t number) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(number);
  return entry != nullptr ? entry->name : std::string();
}

size_t PathTable::copy_name(uint64_t number, char* out) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(number);
  if (entry == nullptr) return 0;
  std::memcpy(out, entry->name.data(), entry->name.size());
  return entry->name.size();
}

// Which counts as a use.
PathTable::Entry* PathTable::find(uint64_t number) {
  uint64_t place = number & UINT32_MAX;
  if (place >= entries_.size() || entries_[place].generation != number >> 32) return nullptr;
  if (entries_[place].name.empty()) return nullptr;
  use(static_cast<uint32_t>(place));
  return &entries_[place];
}

// A free place: a new one, or that of the name that was not used for the longest time.
uint32_t PathTable::room() {
  if (entries_.size() < names_max_) {
    entries_.emplace_back();
    return static_cast<uint32_t>(entries_.size() - 1);
  }
  uint32_t place = oldest_;
  while (place != kNone && entries_[place].holds > 0) place = entries_[place].newer;
  if (place != kNone) forget(place);
  return place;
}

void PathTable::forget(uint32_t place) {
  Entry& entry = entries_[place];
  uint32_t* at = bucket_of(entry.hash);
  while (*at != place) at = &entries_[*at].next;
  *at = entry.next;
  unlink(place);
  if (++entry.generation == 0) entry.generation = 1;  // no number is 0
  entry.name.clear();
}

void PathTable::unlink(uint32_t place) {
  Entry& entry = entries_[place];
  (entry.older != kNone ? entries_[entry.older].newer : oldest_) = entry.newer;
  (entry.newer != kNone ? entries_[entry.newer].older : newest_) = entry.older;
  entry.older = entry.newer = kNone;
}

void PathTable::put_newest(uint32_t place) {
  Entry& entry = entries_[place];
  entry.older = newest_;
  entry.newer = kNone;
  (newest_ != kNone ? entries_[newest_].newer : oldest_) = place;
  newest_ = place;
}

}  // namespace ksocket
