// Runs what needs rights in a network namespace of its own, with `lo` up: nothing outside is touched.
#pragma once

#include <functional>
#include <string>

namespace ksocket::test {

// On a thread that is in the namespace. "" or why there is none: a test that needs it says so and ends.
std::string in_own_network(const std::function<void()>& body);

}  // namespace ksocket::test
