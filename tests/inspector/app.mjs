// The app behind the agent: it answers by the path, and keeps what it got, byte for byte, for whoever asks.

import { createServer } from "node:http";

export async function startApp() {
  const got = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    got.push({ method: request.method, path: request.url, headers: request.headers, body });
    if (request.url.includes("/fail")) {
      response.writeHead(500, { "content-type": "text/plain" });
      return response.end("it broke\n  at line 3");
    }
    response.writeHead(200, { "content-type": "application/json", "x-app": "yes" });
    return response.end(JSON.stringify({ ok: true, bytes: body.length }));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    got,
    /** Requests whose path holds this. */
    of: (path) => got.filter((one) => one.path.includes(path)),
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
