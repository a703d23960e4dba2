{
  "targets": [
    {
      "target_name": "ksocket",
      "sources": [
        "native/addon.cc",
        "<!@(node -p \"['bridge','core','engine'].flatMap(d=>require('fs').readdirSync('native/'+d,{recursive:true}).filter(f=>f.endsWith('.cc')).sort().map(f=>'native/'+d+'/'+f)).join(' ')\")"
      ],
      "include_dirs": [
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags": ["-fvisibility=hidden", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-exceptions"],
      "cflags_cc": ["-std=c++20"],
      "ldflags": ["-Wl,--version-script=<(module_root_dir)/native/exports.map"]
    }
  ]
}
