// Serves the front end on another origin than the service's.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const TYPES = { html: "text/html", css: "text/css", js: "text/javascript" };

/** Serves the files of `folder` at 127.0.0.1; returns the origin and a function that closes it. */
export async function serveFolder(folder, port) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://127.0.0.1").pathname;
    const name = path === "/" ? "index.html" : path.slice(1);
    const type = /^[a-z]+\.([a-z]+)$/.exec(name)?.[1];
    try {
      if (!(type in TYPES)) {
        throw new Error(`no ${name}`);
      }
      const content = readFileSync(new URL(name, folder));
      response.writeHead(200, { "Content-Type": `${TYPES[type]}; charset=utf-8` }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
