# The addon of the stepping tests: native/ as it is, but for its engines and the event loop's handles, with the ring stepped (core/memory/rx_ring.h) and the
# system replaced (system.cc). scripts/stepping-build.mjs builds it, in a copy of the sources.
{
  "targets": [
    {
      "target_name": "stepping",
      "sources": [
        "<!@(node -p \"['bridge','core'].flatMap(d=>require('fs').readdirSync('../../../native/'+d,{recursive:true}).filter(f=>f.endsWith('.cc')&&!['bell.cc','loop_watch.cc'].includes(f)).sort().map(f=>'../../../native/'+d+'/'+f)).join(' ')\")",
        "../../../native/test/support/fake_engine.cc",
        "addon.cc", "bell.cc", "engine.cc", "fiber.cc", "loop_watch.cc", "system.cc"
      ],
      "include_dirs": [".", "../../../native", "../../../native/test", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags!": ["-O3"],
      "cflags": ["-fvisibility=hidden", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type", "-Wno-missing-field-initializers"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-exceptions"],
      "cflags_cc": ["-std=c++20"],
      "ldflags": [
        "-Wl,-Bsymbolic",
        "-Wl,--wrap=pthread_create",
        "-Wl,--wrap=pthread_join",
        "-Wl,--wrap=pthread_mutex_lock",
        "-Wl,--wrap=pthread_setname_np",
        "-Wl,--wrap=sched_yield",
        "-Wl,--wrap=prctl",
        "-Wl,--wrap=nanosleep",
        "-Wl,--wrap=clock_gettime",
        "-Wl,--wrap=getrandom",
        "-Wl,--wrap=timerfd_settime",
        "-Wl,--wrap=_ZNSt6chrono3_V212steady_clock3nowEv",
        "-Wl,--wrap=napi_create_threadsafe_function",
        "-Wl,--wrap=napi_call_threadsafe_function",
        "-Wl,--wrap=napi_release_threadsafe_function",
        "-Wl,--wrap=napi_ref_threadsafe_function",
        "-Wl,--wrap=napi_unref_threadsafe_function"
      ]
    }
  ]
}
