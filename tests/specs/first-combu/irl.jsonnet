// One server and two sweeps of 51 that depend on it, lists joined.
[
  { name: 'mzld', image: 'combu-test/maze', networks: ['irl'] },
] + [
  {
    name: 'irl-hard-%d' % [maze],
    image: 'combu-test/navi',
    networks: ['irl'],
    cmd: 'make simulate MODE=hard MAZE_ID=%d' % [maze],
    depends: ['mzld'],
  }
  for maze in std.range(0, 50)
] + [
  {
    name: 'irl-soft-%d' % [maze],
    image: 'combu-test/navi',
    networks: ['irl'],
    cmd: 'make simulate MODE=soft MAZE_ID=%d' % [maze],
    depends: ['mzld'],
  }
  for maze in std.range(0, 50)
]
