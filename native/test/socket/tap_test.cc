#include "core/socket/tap.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "core/socket/interface.h"
#include "support/addresses.h"
#include "support/frames.h"

namespace ksocket {
namespace {

using test::address_of;

// Runs `check` in a process with a network of its own, which ends with it; its exit code is what it returns.
// -1: this machine has no such thing for us.
int in_own_network(const std::function<int()>& check) {
  pid_t child = fork();
  if (child == 0) {
    struct stat device;
    // Who is nobody here may be somebody in a namespace of users, but for a process with threads
    // (sanitizers).
    bool able = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    able = able && stat("/dev/net/tun", &device) == 0;
    _exit(able ? check() : 77);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return 1000;
  return WEXITSTATUS(status) == 77 ? -1 : WEXITSTATUS(status);
}

#define IN_OWN_NETWORK(...)                                                        \
  int failed_at = in_own_network([]() -> int { __VA_ARGS__ return 0; });           \
  if (failed_at == -1) GTEST_SKIP() << "no network namespaces or no /dev/net/tun"; \
  EXPECT_EQ(failed_at, 0) << "the number of the check that failed"

#define CHECK_THAT(number, condition) \
  if (!(condition)) return number

TEST(Tap, is_made_set_up_and_gone_with_its_descriptor) {
  IN_OWN_NETWORK({
    Tap tap;
    TapOptions options;
    options.mtu = 1400;
    options.queue_frames = 1000;
    options.networks = {{address_of("10.1.2.3"), 24}, {address_of("fd01::1"), 64}};
    TapFailure failure = open_tap(options, &tap);
    CHECK_THAT(1, !failure);
    CHECK_THAT(2, tap.mtu == 1400 && tap.name == "tap0" && if_nametoindex("tap0") != 0);
    // It has the addresses: they can be bound to.
    for (const char* text : {"10.1.2.3", "fd01::1"}) {
      uint8_t family = std::string(text).find(':') == std::string::npos ? 4 : 6;
      Fd bound(socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
      SockAddr name = to_sockaddr(address_of(text));
      CHECK_THAT(3, bind(bound.get(), &name.any, name.length) == 0);
    }
    tap.fd.reset();
    CHECK_THAT(4, if_nametoindex("tap0") == 0);
  });
}

TEST(Tap, a_persistent_one_stays_and_is_taken_up_again) {
  IN_OWN_NETWORK({
    Tap first, second;
    CHECK_THAT(1, !open_tap({.name = "stays", .persistent = true}, &first));
    CHECK_THAT(2, open_tap({.name = "stays"}, &second).error == -EBUSY);
    first.fd.reset();
    CHECK_THAT(3, if_nametoindex("stays") != 0);
    CHECK_THAT(4, !open_tap({.name = "stays"}, &second));
    second.fd.reset();
    CHECK_THAT(5, if_nametoindex("stays") != 0);
  });
}

TEST(Tap, one_that_cannot_be_set_up_does_not_stay) {
  IN_OWN_NETWORK({
    Tap tap;
    TapFailure failure = open_tap({.name = "none", .persistent = true, .mtu = 7}, &tap);
    CHECK_THAT(1, failure.error == -EINVAL && std::string(failure.syscall) == "SIOCSIFMTU");
    CHECK_THAT(2, !tap.fd && if_nametoindex("none") == 0);
    CHECK_THAT(3, open_tap({.name = "longer-than-sixteen"}, &tap).error == -EINVAL);
  });
}

TEST(Tap, it_is_found_by_the_name_that_it_has_now_and_never_another_interface) {
  IN_OWN_NETWORK({
    Tap tap, other;
    CHECK_THAT(1, !open_tap({.name = "first", .mtu = 1400, .up = false}, &tap));
    ifreq request{};
    std::strcpy(request.ifr_name, "first");
    std::strcpy(request.ifr_newname, "second");
    Fd asks(socket(AF_INET, SOCK_DGRAM, 0));
    Interface second;
    CHECK_THAT(2, ioctl(asks.get(), SIOCSIFNAME, &request) == 0 && second.open("second") == 0);
    CHECK_THAT(3, second.set_mtu(1300) == 0);
    CHECK_THAT(4, !open_tap({.name = "first", .mtu = 1200}, &other));
    CHECK_THAT(5, !refresh_tap(&tap) && tap.name == "second" && tap.mtu == 1300);
    // As where the device is in another namespace, and its name is somebody else's here.
    Tap elsewhere{Fd(dup(0)), "first", 1400, true, tap.index};
    CHECK_THAT(6, refresh_tap(&elsewhere).error == -ENODEV && elsewhere.mtu == 1400);
    CHECK_THAT(7, set_up_tap({.mtu = 1111}, &elsewhere).error == -ENODEV);
    CHECK_THAT(8, !refresh_tap(&other) && other.mtu == 1200);
  });
}

TEST(Tap, without_the_capability_the_attaching_is_refused) {
  pid_t child = fork();
  if (child == 0) {
    // In a namespace of users in which nobody is root, of the network around it.
    if (unshare(CLONE_NEWUSER) != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) _exit(77);
    Tap tap;
    TapFailure failure = open_tap({.name = "refused"}, &tap);
    _exit(failure.error == -EPERM && std::string(failure.syscall) == "TUNSETIFF" ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no namespaces of users or no /dev/net/tun";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Tap, frames_that_the_machine_sends_are_read_behind_a_header) {
  IN_OWN_NETWORK({
    Tap tap;
    CHECK_THAT(1, !open_tap({.networks = {{address_of("10.1.2.3"), 24}}}, &tap));
    Fd sender(socket(AF_INET, SOCK_DGRAM, 0));
    SockAddr to = to_sockaddr(address_of("10.1.2.255"));
    to.v4.sin_port = htons(9);
    int on = 1;
    setsockopt(sender.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    CHECK_THAT(2, sendto(sender.get(), "hello", 5, 0, &to.any, to.length) == 5);
    uint8_t frame[2000];
    bool found = false;
    // The kernel has something of its own to say, too (IPv6's neighbours).
    for (ssize_t bytes; (bytes = read(tap.fd.get(), frame, sizeof frame)) > 0;)
      found |= bytes == 10 + 14 + 20 + 8 + 5 && std::string(frame + bytes - 5, frame + bytes) == "hello";
    CHECK_THAT(3, found && errno == EAGAIN);
  });
}

}  // namespace
}  // namespace ksocket
