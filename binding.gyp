{
  "targets": [
    {
      "target_name": "ksocket",
      # native/compile.json says what is compiled, and how: it serves `ksocket build` as well.
      "sources": [
        "<!@(node -p \"['addon.cc',...require('./native/compile.json').sources.flatMap(d=>require('fs').readdirSync('native/'+d,{recursive:true}).filter(f=>f.endsWith('.cc')).sort().map(f=>d+'/'+f))].map(f=>'native/'+f).join(' ')\")"
      ],
      "include_dirs": [
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": ["<!@(node -p \"require('./native/compile.json').defines.join(' ')\")"],
      "cflags": ["<!@(node -p \"require('./native/compile.json').cflags.join(' ')\")"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-exceptions"],
      "cflags_cc": ["<!@(node -p \"require('./native/compile.json').cflags_cc.join(' ')\")"],
      "ldflags": ["-Wl,--version-script=<(module_root_dir)/native/exports.map", "-Wl,-z,nodelete"]
    }
  ]
}
