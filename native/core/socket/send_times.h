// Does the kernel say by a number of ours when a datagram was sent?
#pragma once

namespace ksocket {

// SCM_TS_OPT_ID, since Linux 6.13. Without it the kernel counts by itself, and a send that fails may count or
// not (__ip_append_data, ip_send_skb), so that nobody knows which datagram a time is about. Asked of the
// kernel once.
bool takes_send_ids();

}  // namespace ksocket
