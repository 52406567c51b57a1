// Trials of many kinds, for the expressions of expressions.txt: what the report page says of them and what
// `combu results --where` says must be the same.
local run(script) = ['sh', '-c', script];
local metrics(told) = std.join('; ', ['echo "::combu metric %s"' % one for one in told]);
{
  name: 'kinds',
  defaults: { engine: 'local', timeout: '1h' },
  trials: [
    { name: 'adam-1', cmd: run(metrics(['loss=0.25 step=1', 'loss=0.125 step=2', 'acc=0.5'])), cpus: 1, memory: '64m',
      params: { opt: 'adam', lr: 0.1, width: 64, nested: { deep: { x: 1 }, list: [1, 2, 'three', null] }, on: true } },
    { name: 'adam-2', cmd: run(metrics(['loss=0.5'])), cpus: 0.5, memory: '32m', timeout: '30m',
      params: { opt: 'adam', lr: 1e-17, width: 16, on: false, note: 'say "hi"', none: null } },
    { name: 'sgd-1', cmd: run(metrics(['loss=-1', 'size=12345678901'])), params: {
      opt: 'sgd', lr: 1, width: 128, '学習率': 3, tags: ['a', 'b', 'C'], empty: [], 'odd name': 7, text: '' } },
    { name: 'sgd-2', cmd: run('echo told nothing'), params: { opt: 'SGD', lr: -0.0, width: '64', big: 9007199254740991, small: -3 } },
    { name: 'ja-1', cmd: run(metrics(['loss=1e-17'])), params: { opt: '学習', lr: 0.30000000000000004, width: 32.5, mode: 'a' } },
    { name: 'de-1', cmd: run(metrics(['loss=3'])), params: { opt: 'ÄÖÜ', lr: 0.3, width: 0, mode: 'b', pair: { a: 1, b: 2 } } },
    { name: 'fails', cmd: run(metrics(['loss=9']) + '; exit 3'), params: { opt: 'adam', lr: 0.01, lines: 'one\ntwo\tthree' } },
    { name: 'after', cmd: run('true'), depends: ['fails'], params: { opt: 'adam', lr: 0.02 } },
    { name: 'later', cmd: run('true'), depends: ['adam-1'], priority: 5, nice: 3, retries: 1, env: { MODE: 'hard', N: 1 } },
    { name: 'slow', cmd: run('sleep 30'), timeout: '0.2s', stop_grace: '0.1s', params: { opt: 'slow', lr: 5, code: 'A' } },
    { name: 'bare', cmd: run('true') },
    { name: 'emoji', cmd: run('true'), params: { opt: '😀 b', lr: 2, mode: '\\ \'q\'', path: '/data/x.csv' } },
  ],
}
