#include "simulate/poll_set.h"

#include <algorithm>
#include <utility>

namespace ksocket::simulate {

void PollSet::list(int fd, Entry& entry) {
  if (!entry.listed) list_.push_back(fd);
  entry.listed = true;
  if (auto woken = std::exchange(woken_, nullptr)) woken();
}

void PollSet::add(int fd, Entry entry, uint32_t ready) {
  Entry& added = entries_[fd] = entry;
  if (ready & (added.mask | (added.mask != 0 ? kError : 0u))) list(fd, added);
}

void PollSet::remove(int fd) {
  entries_.erase(fd);
  std::erase(list_, fd);
}

bool PollSet::tell(int fd, uint32_t what) {
  Entry& entry = entries_.at(fd);
  if ((what & (entry.mask | kError)) == 0 || entry.mask == 0) return false;
  bool slept = sleeps();
  list(fd, entry);
  return slept && entry.exclusive;
}

}  // namespace ksocket::simulate
