// Ports as strings with a protocol, two for each of four trials.
[
  {
    name: 'web-%d' % [n],
    image: 'combu-test/web',
    ports: [
      { host: '%d/tcp' % [22220 + n * 2], container: '80/tcp' },
      { host: '%d/tcp' % [22220 + n * 2 + 1], container: '443/tcp' },
    ],
    networks: ['webs'],
  }
  for n in std.range(0, 3)
]
