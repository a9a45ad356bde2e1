// Between clients and a server: writes down what was asked by HTTP, and how it was answered.
import { connect, createServer } from 'node:net';

export async function startWitness(url) {
  const target = new URL(url);
  const answers = [];
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let path = '';
    client.once('data', (head) => (path = new URL(head.toString().split(' ')[1], url).pathname));
    upstream.once('data', (head) => answers.push(`${head.toString().split(' ')[1]} ${path}`));
    client.pipe(upstream).pipe(client);
    for (const [one, other] of [[client, upstream], [upstream, client]]) one.on('error', () => other.destroy());
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `ws://127.0.0.1:${server.address().port}`, answers, stop: () => server.close() };
}
