// Which queueing disciplines the network devices have, tc(8): without `fq` nobody heeds a datagram socket's
// pacing rate.
#pragma once

#include <string_view>

namespace ksocket {

// 1: some device of this network namespace has a qdisc of this kind, 0: none has, or -errno.
int has_qdisc(std::string_view kind);

}  // namespace ksocket
