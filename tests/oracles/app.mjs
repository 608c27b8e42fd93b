// The receiving app behind the agent: plain node:http, which gives the raw bytes and header fields it got to the
// provider's own SDK. One path a provider: /NAME.

import { createServer } from "node:http";

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, n) => [flat[2 * n], flat[2 * n + 1]]);

/**
 * `providers` by name, `url` the public URL of a source. `seen` holds what came: `{ name, mark, event, isReplay, at,
 * request, judged }`, the request with the URL its sender wrote.
 */
export async function startApp(providers, url) {
  const seen = [];
  const server = createServer(async (incoming, answer) => {
    try {
      const at = Date.now();
      const pieces = [];
      for await (const piece of incoming) pieces.push(piece);
      const name = /^\/([^/?]*)/.exec(incoming.url)[1];
      const provider = providers.find((provider) => provider.name === name);
      const { method, headers } = incoming;
      const path = incoming.url.slice(name.length + 1);
      const request = {
        method,
        url: url(name) + path,
        headers: pairs(incoming.rawHeaders),
        body: Buffer.concat(pieces),
      };
      const judged = await provider.judged(request);
      const isReplay = headers["relay-replay"] !== undefined;
      seen.push({
        name,
        mark: headers["x-oracle-mark"],
        event: headers["relay-event-id"],
        isReplay,
        at,
        request,
        judged,
      });
      const text = JSON.stringify({ verified: judged.accepted });
      // A 4xx of the app ends a delivery: nothing is tried again behind our back.
      answer.writeHead(judged.accepted ? 200 : 400, {
        "Content-Type": "application/json",
        "Content-Length": text.length,
      });
      answer.end(text);
    } catch (error) {
      seen.push({ name: incoming.url, error });
      answer.destroy(error);
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const target = `http://127.0.0.1:${server.address().port}`;
  return { seen, target, close: () => (server.close(), server.closeAllConnections()) };
}
