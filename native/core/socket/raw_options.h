// setsockopt(2) and getsockopt(2) as a program words them: a level, a name and bytes.
//
// What the sockets of this library rest on is not to be had this way, and nothing whose bytes say where in
// memory the kernel is to read or write: refusal() has the table.
#pragma once

#include <cstdint>
#include <span>

namespace ksocket {

enum class OptionCall : uint8_t { set = 1, get = 2 };

// Why the call is not made, as an end of the sentence "The argument …"; null where it is.
const char* refusal(OptionCall call, int level, int name);

// 0 or -errno. The kernel may write into `value` (IPV6_FLOWLABEL_MGR does).
int set_raw_option(int fd, int level, int name, std::span<uint8_t> value);
// How many bytes of `out` are the value, or -errno. `out` is zeroes: some options read what they are asked
// from there.
int get_raw_option(int fd, int level, int name, std::span<uint8_t> out);

}  // namespace ksocket
