// What an errno of the data path means. The engines only call the kernel and hand back -errno; this table is
// where it is decided what happens next.
#pragma once

namespace ksocket {

enum class Action {
  retry,   // call again at once
  wait,    // go on when the descriptor is ready
  report,  // tell the user; the socket lives on
  stop,    // the descriptor is dead: tell the user and stop using it
};

// `error` is a positive errno.
Action on_receive_error(int error);
// Of a super-datagram: where it is to be reported, its datagrams are tried alone first.
Action on_send_error(int error);
// Does this errno of a send answer an earlier datagram (an ICMP message came back) and not the one it
// refused?
bool answers_earlier_datagram(int error);
// Is this errno of a call about something that has a place in the queue of errors (IP_RECVERR), or had one?
// sock_error() hands it to the next call, whichever that is.
bool is_queued_error(int error);
// Does this errno of a probe say that the kernel, or the sandbox around us, lacks the call?
bool means_unsupported(int error);
// Does this errno of making a socket say that there are too many of something, so that it may go once there
// is one less?
bool means_exhausted(int error);

}  // namespace ksocket
