// Instead of libc++abi's: its parser of C++ names would be a quarter of a binary that has libc++ linked in.
// What asks for it is only the handler of an exception that nobody catches, to print the exception's type; it
// prints the mangled name then.
#include <cstddef>

extern "C" char* __cxa_demangle(const char*, char*, size_t*, int* status) {
  if (status != nullptr) *status = -2;  // "not a valid name", as the Itanium C++ ABI has it
  return nullptr;
}
