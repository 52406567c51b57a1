// The UUID in a command, and images with a tag.
local uuid = "UUID";

[
  { name: 'mzld', image: 'combu-test/maze:latest', networks: ['irl'] },
] + [
  {
    name: 'irl-hard-%d' % [maze],
    image: 'combu-test/navi:latest',
    networks: ['irl'],
    cmd: 'make parallel MODE=hard MAZE_ID=%d' % [maze] + ' --uuid=' + uuid,
    depends: ['mzld'],
  }
  for maze in std.range(2, 4)
] + [
  {
    name: 'irl-soft-%d' % [maze],
    image: 'combu-test/navi:latest',
    networks: ['irl'],
    cmd: 'make parallel MODE=soft MAZE_ID=%d' % [maze] + ' --uuid=' + uuid,
    depends: ['mzld'],
  }
  for maze in std.range(2, 4)
]
