// Two prerequisites: the server, and the trial of the same maze in the other mode.
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
  for maze in std.range(0, 3)
] + [
  {
    name: 'irl-soft-%d' % [maze],
    image: 'combu-test/navi',
    networks: ['irl'],
    cmd: 'make simulate MODE=soft MAZE_ID=%d' % [maze],
    depends: ['mzld'] + ['irl-hard-%d' % [maze]],
  }
  for maze in std.range(0, 3)
]
