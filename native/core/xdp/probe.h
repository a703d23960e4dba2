// May this process have datagrams answered in the kernel? Found out by trying.
#pragma once

#include <string>

namespace ksocket::xdp {

// 0, or -errno with what is missing, as errors and features() say it: "a kernel with bpf(2), …".
struct Probed {
  int error = 0;
  std::string needs;
};

// Is the kernel that runs at least this one? Where it does not say, yes.
bool kernel_is_from(int major, int minor);
// Makes a map and a program, and closes them.
Probed probe_kernel_answers();
// What is missing where loading was refused with this.
const char* needs_for(int error);

}  // namespace ksocket::xdp
