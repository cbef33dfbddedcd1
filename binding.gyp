{
  # Two targets: `child` is the code that runs between clone and exec. It has flags of its own (no sanitizer, no stack
  # protector: both would call into libc) and its object is audited by test/native/child-symbols.test.ts.
  'variables': { 'sanitize%': 'false' },
  'target_defaults': {
    'cflags': ['-Wall', '-Wextra', '-Werror', '-O2'],
    'cflags_cc': ['-std=c++17'],
    'cflags!': ['-O3'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
  },
  'targets': [
    {
      'target_name': 'child',
      'type': 'static_library',
      'standalone_static_library': 1,
      'sources': ['native/child.cc'],
      'cflags': ['-fPIC', '-ffreestanding', '-fno-stack-protector', '-fcf-protection=none', '-U_FORTIFY_SOURCE'],
    },
    {
      'target_name': 'stdiod',
      'dependencies': ['child'],
      'sources': [
        'native/addon.cc',
        'native/accounts.cc',
        'native/address.cc',
        'native/aside.cc',
        'native/clone-into.cc',
        'native/closers.cc',
        'native/closings.cc',
        'native/control.cc',
        'native/descriptors.cc',
        'native/diag.cc',
        'native/error.cc',
        'native/exits.cc',
        'native/handover.cc',
        'native/landlock.cc',
        'native/lent.cc',
        'native/line.cc',
        'native/mounts.cc',
        'native/options.cc',
        'native/output.cc',
        'native/own-thread.cc',
        'native/path.cc',
        'native/plan.cc',
        'native/poller.cc',
        'native/processes.cc',
        'native/reaper.cc',
        'native/reports.cc',
        'native/sandbox.cc',
        'native/socket.cc',
        'native/spawn.cc',
      ],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
      'conditions': [
        ["sanitize=='true'", {
          # Without `vptr`: to look at an object it opens a pipe, and takes one for invalid when no descriptor is left.
          'cflags': ['-fsanitize=address,undefined', '-fno-sanitize=vptr', '-fno-sanitize-recover=undefined', '-fno-omit-frame-pointer', '-g'],
          'ldflags': ['-fsanitize=address,undefined'],
        }],
      ],
    },
  ],
}
