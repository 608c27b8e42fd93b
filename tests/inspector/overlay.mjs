// For whoever works on the page: `tests/inspector/bundle && INSPECTOR_FILES=relay-server/inspector/pages
// tests/inspector/run` shows the files of that folder, with the headers that the program sends, and passes everything
// else on to it. Never used otherwise.

import { existsSync, readFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { extname, join, resolve, sep } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

export async function startOverlay(folder, behind) {
  const root = resolve(folder);
  const { hostname, port, host } = new URL(behind);
  const head = await fetch(behind);
  const passed = Object.fromEntries([...head.headers].filter(([name]) => !/^(content-|etag|date|connection|keep-alive|transfer)/.test(name) || name === "content-security-policy"));
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, behind);
    const file = pathname === "/" ? join(root, "index.html") : join(root, pathname.replace(/^\/inspector\//, ""));
    if (!pathname.startsWith("/api/") && file.startsWith(root + sep) && existsSync(file) && TYPES[extname(file)]) {
      response.writeHead(200, { ...passed, "content-type": TYPES[extname(file)] });
      return response.end(readFileSync(file));
    }
    const headers = { ...request.headers, host };
    if (headers.origin) headers.origin = `http://${host}`;
    const onward = ask({ hostname, port, method: request.method, path: request.url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      // A stream begins with its head, and may have nothing to say for a while.
      response.flushHeaders();
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    return request.pipe(onward);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}` };
}
