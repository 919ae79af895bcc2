// The front desk: keeps a count in Redis by itself, and passes every other question on to the back room.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const tls = require("node:tls");

const env = process.env;
const agent = new http.Agent({ keepAlive: true });

// One exchange with Redis: TLS with the service's own certificate, its user and password, then the command.
function redis(...command) {
  return new Promise((resolve, reject) => {
    const password = fs.readFileSync(env.QUICK_NOTES_PASSWORD_FILE, "utf8").trim();
    const socket = tls.connect({
      host: env.QUICK_NOTES_HOST,
      port: Number(env.QUICK_NOTES_PORT),
      ca: fs.readFileSync(env.QUICK_NOTES_TLS_CA),
      cert: fs.readFileSync(env.QUICK_NOTES_TLS_CERT),
      key: fs.readFileSync(env.QUICK_NOTES_TLS_KEY),
    });
    let said = "";
    socket.setEncoding("utf8");
    socket.on("secureConnect", () => {
      socket.write(encoded("AUTH", env.QUICK_NOTES_USERNAME, password) + encoded(...command));
    });
    socket.on("data", (chunk) => {
      said += chunk;
      const lines = said.split("\r\n"); // simple replies only: one line for each command, and what follows the last
      const refused = lines.find((line) => line.startsWith("-"));
      if (refused) reject(new Error(refused));
      else if (lines.length > 2) resolve(lines[1].slice(1));
      else return;
      socket.end();
    });
    socket.on("error", reject);
  });
}

// A command as RESP has it: an array of strings, each with its length in bytes.
function encoded(...words) {
  return `*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
}

// The same question, asked of the back room through the sidecar.
function passOn(request, response) {
  const headers = { host: new URL(env.BACK_ROOM_URL).host, "content-length": request.headers["content-length"] || 0 };
  const onward = http.request(env.BACK_ROOM_URL + request.url, { method: request.method, headers, agent });
  onward.on("response", (answer) => {
    response.writeHead(answer.statusCode, { "content-type": "text/plain", "x-by": `node ${process.version}` });
    answer.pipe(response);
  });
  onward.on("error", (error) => finish(response, 502, `back-room: ${error.message}`));
  request.pipe(onward);
}

function finish(response, status, text) {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(text);
}

const server = http.createServer((request, response) => {
  if (request.url === "/health") finish(response, 200, "ok");
  else if (request.url === "/environment") finish(response, 200, Object.keys(env).sort().join("\n"));
  else if (request.url === "/visits") {
    redis("INCR", `${env.QUICK_NOTES_PREFIX}visits`).then(
      (count) => finish(response, 200, count),
      (error) => finish(response, 503, error.message),
    );
  } else passOn(request, response);
});
process.on("SIGTERM", () => server.close());
server.listen(Number(env.PORT), "127.0.0.1");
