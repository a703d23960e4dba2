// Names of local sockets (unix(7)) as numbers, so that what is passed about, compared and hashed is an
// Address as IP's are, which has no room for 108 bytes. Bounded: the name that was not used for the longest
// time makes room, and its number stands for nothing any more.
//
// One table for the process; from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ksocket {

class PathTable {
 public:
  static constexpr uint32_t kNamesMax = 65536;

  explicit PathTable(uint32_t names_max = kNamesMax);
  static PathTable& of_process();

  // What stands for the name from now on: never 0, unless it is empty or there is no room, as all are held.
  uint64_t number_of(std::string_view name) { return number_of(name, 0); }
  // The same, until as many release().
  uint64_t hold(std::string_view name) { return number_of(name, 1); }
  // False: it stands for nothing any more.
  bool hold(uint64_t number);
  void release(uint64_t number);
  // Empty where it stands for nothing (any more).
  std::string name_of(uint64_t number);
  // The same into `out`, which has room for any name. How long it is.
  size_t copy_name(uint64_t number, char* out);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Entry {
    std::string name;
    uint64_t hash = 0;
    uint32_t generation = 1;
    uint32_t holds = 0;
    uint32_t next = kNone;                  // in its bucket
    uint32_t older = kNone, newer = kNone;  // by the latest use
  };

  uint64_t number_of(std::string_view name, uint32_t holds);
  uint64_t hash(std::string_view name) const;
  uint32_t* bucket_of(uint64_t hash) { return &buckets_[hash & (buckets_.size() - 1)]; }
  Entry* find(uint64_t number);
  uint32_t room();
  void forget(uint32_t place);
  void unlink(uint32_t place);
  void put_newest(uint32_t place);
  void use(uint32_t place) {
    if (newest_ == place) return;
    unlink(place);
    put_newest(place);
  }

  const uint32_t names_max_;
  const uint64_t seed_;
  std::mutex mutex_;
  std::vector<Entry> entries_;     // guarded by mutex_, as all below
  std::vector<uint32_t> buckets_;  // a power of two
  uint32_t oldest_ = kNone, newest_ = kNone;
};

}  // namespace ksocket
