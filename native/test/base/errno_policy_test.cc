#include "core/base/errno_policy.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace ksocket {

// Found by GoogleTest's printer through the namespace.
static void PrintTo(Action action, std::ostream* out) {
  static const char* names[] = {"retry", "wait", "report", "stop"};
  *out << names[static_cast<int>(action)];
}

namespace {

TEST(ErrnoPolicy, receives_again_after_a_signal) {
  EXPECT_EQ(on_receive_error(EINTR), Action::retry);
}

TEST(ErrnoPolicy, waits_when_there_is_nothing_to_receive_or_no_memory_for_it) {
  for (int error : {EAGAIN, EWOULDBLOCK, ENOMEM, ENOBUFS})
    EXPECT_EQ(on_receive_error(error), Action::wait) << error;
}

TEST(ErrnoPolicy, stops_receiving_on_a_dead_descriptor) {
  for (int error : {EBADF, ENOTSOCK, EFAULT}) EXPECT_EQ(on_receive_error(error), Action::stop) << error;
}

TEST(ErrnoPolicy, reports_what_a_receive_says_of_the_network_and_goes_on) {
  for (int error : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE, EPROTO, EIO, EINVAL}) {
    EXPECT_EQ(on_receive_error(error), Action::report) << error;
  }
}

TEST(ErrnoPolicy, sends_again_after_a_signal) {
  EXPECT_EQ(on_send_error(EINTR), Action::retry);
}

TEST(ErrnoPolicy, waits_when_the_send_buffer_or_the_device_queue_is_full) {
  for (int error : {EAGAIN, EWOULDBLOCK, ENOBUFS}) EXPECT_EQ(on_send_error(error), Action::wait) << error;
}

TEST(ErrnoPolicy, stops_sending_on_a_dead_descriptor) {
  for (int error : {EBADF, ENOTSOCK}) EXPECT_EQ(on_send_error(error), Action::stop) << error;
}

TEST(ErrnoPolicy, reports_every_other_refusal_of_a_datagram) {
  for (int error : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPERM, EACCES, EDESTADDRREQ, EAFNOSUPPORT, EIO,
                    EINVAL, EMSGSIZE, EOPNOTSUPP}) {
    EXPECT_EQ(on_send_error(error), Action::report) << error;
  }
}

// No errno may be forgotten into a loop: only these few are tried again.
TEST(ErrnoPolicy, reports_what_is_in_no_table) {
  std::set<int> receive = {EINTR, EAGAIN, ENOMEM, ENOBUFS, EBADF, ENOTSOCK, EFAULT};
  std::set<int> send = {EINTR, EAGAIN, ENOBUFS, EBADF, ENOTSOCK};
  for (int error = 1; error < 200; error++) {
    EXPECT_EQ(on_receive_error(error) == Action::report, !receive.contains(error)) << error;
    EXPECT_EQ(on_send_error(error) == Action::report, !send.contains(error)) << error;
  }
}

TEST(ErrnoPolicy, knows_which_refusals_answer_an_earlier_datagram) {
  for (int error : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN}) {
    EXPECT_TRUE(answers_earlier_datagram(error)) << error;
    EXPECT_EQ(on_send_error(error), Action::report) << error;
  }
  for (int error : {EPERM, EACCES, EMSGSIZE, EINVAL, EIO, EAGAIN, ENOBUFS, EBADF}) {
    EXPECT_FALSE(answers_earlier_datagram(error)) << error;
  }
}

TEST(ErrnoPolicy, knows_how_kernels_and_sandboxes_refuse_a_call) {
  for (int error : {ENOSYS, EPERM, EACCES, EOPNOTSUPP}) EXPECT_TRUE(means_unsupported(error)) << error;
  for (int error : {EAGAIN, EDESTADDRREQ, EMFILE, ENFILE, ENOMEM, EINVAL, EBADF}) {
    EXPECT_FALSE(means_unsupported(error)) << error;
  }
}

TEST(ErrnoPolicy, knows_what_goes_once_there_is_one_socket_less) {
  for (int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EAGAIN})
    EXPECT_TRUE(means_exhausted(error)) << error;
  for (int error : {0, EACCES, EPERM, ENETUNREACH, EINVAL, EAFNOSUPPORT})
    EXPECT_FALSE(means_exhausted(error)) << error;
}

}  // namespace
}  // namespace ksocket
