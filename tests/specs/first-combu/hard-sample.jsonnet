// A function that makes trials, a service without a command, and a dependant in the middle of a sweep.
local uuid = "UUID";

local solver(id) = {
  name: 'busybox-b-%d' % [id],
  image: 'combu-test/busybox',
  cmd: 'echo %s' % [uuid],
  networks: ['sample'],
  depends: ['busybox-a'],
};

[solver(n) for n in std.range(2, 20)] + [
  { name: 'busybox-a', image: 'combu-test/busybox', networks: ['sample'] },
  { name: 'busybox-c', image: 'combu-test/busybox', networks: ['sample'], depends: ['busybox-b-10'] },
]
