// Instead of libc++abi's and libunwind's: nothing of ours throws or catches, and what libc++ throws (no
// memory, a length that cannot be) nobody would catch, so that it ends the process either way. What reads
// tables of frames and the names of types was a fifteenth of a binary that has libc++ linked in; with the
// parser of C++ names it was a quarter more.
#include <cstddef>
#include <cstdlib>

// clang-format off
#define KSOCKET_ABSENT(name) [[noreturn]] void name() { abort(); }
extern "C" {
// What libc++ and its new call.
KSOCKET_ABSENT(__cxa_allocate_exception)
KSOCKET_ABSENT(__cxa_free_exception)
KSOCKET_ABSENT(__cxa_init_primary_exception)
KSOCKET_ABSENT(__cxa_throw)
KSOCKET_ABSENT(__cxa_rethrow)
KSOCKET_ABSENT(__cxa_begin_catch)
KSOCKET_ABSENT(__cxa_end_catch)
KSOCKET_ABSENT(__cxa_call_terminate)
KSOCKET_ABSENT(__gxx_personality_v0)
KSOCKET_ABSENT(_Unwind_Resume)
// The others of their objects: one that were missing here would bring the whole object, and all of these a second time.
KSOCKET_ABSENT(__cxa_allocate_dependent_exception)
KSOCKET_ABSENT(__cxa_free_dependent_exception)
KSOCKET_ABSENT(__cxa_current_exception_type)
KSOCKET_ABSENT(__cxa_current_primary_exception)
KSOCKET_ABSENT(__cxa_decrement_exception_refcount)
KSOCKET_ABSENT(__cxa_increment_exception_refcount)
KSOCKET_ABSENT(__cxa_get_exception_ptr)
KSOCKET_ABSENT(__cxa_get_globals)
KSOCKET_ABSENT(__cxa_get_globals_fast)
KSOCKET_ABSENT(__cxa_rethrow_primary_exception)
KSOCKET_ABSENT(__cxa_uncaught_exception)
KSOCKET_ABSENT(__cxa_uncaught_exceptions)
KSOCKET_ABSENT(_ZN10__cxxabiv119__getExceptionClassEPK17_Unwind_Exception)
KSOCKET_ABSENT(_ZN10__cxxabiv119__setExceptionClassEP17_Unwind_Exceptionm)
KSOCKET_ABSENT(_ZN10__cxxabiv121__isOurExceptionClassEPK17_Unwind_Exception)
KSOCKET_ABSENT(_Unwind_DeleteException)
KSOCKET_ABSENT(_Unwind_ForcedUnwind)
KSOCKET_ABSENT(_Unwind_GetGR)
KSOCKET_ABSENT(_Unwind_GetIP)
KSOCKET_ABSENT(_Unwind_GetLanguageSpecificData)
KSOCKET_ABSENT(_Unwind_GetRegionStart)
KSOCKET_ABSENT(_Unwind_RaiseException)
KSOCKET_ABSENT(_Unwind_SetGR)
KSOCKET_ABSENT(_Unwind_SetIP)

// What asks for it is only the handler of an exception that nobody catches, to print the exception's type.
char* __cxa_demangle(const char*, char*, size_t*, int* status) {
  if (status != nullptr) *status = -2;  // "not a valid name", as the Itanium C++ ABI has it
  return nullptr;
}
}
// clang-format on
