// A gate for the step plugin weir.dev/webhook: it answers Running until somebody has agreed (`curl http://127.0.0.1:8095/approve`), and says who
// is waiting. What an approval in a chat or a pipeline would do.
import { createServer } from "node:http";

const PORT = 8095;
let isApproved = false;

createServer((request, response) => {
  if (request.method !== "POST") {
    isApproved = request.url === "/approve";
    response.end(`${isApproved ? "approved" : "closed"}\n`);
    return;
  }
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on("end", () => {
    const { operation, rollout } = JSON.parse(body) as { operation: string; rollout: { name: string } }; // weir's own format
    console.log(`${operation} of ${rollout.name}, ${isApproved ? "approved" : "not approved yet"}`);
    const answer = isApproved
      ? { phase: "Successful", message: "approved" }
      : { phase: "Running", message: "waiting for approval", retryAfter: "11s" };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(operation === "Run" ? answer : { phase: "Successful" }));
  });
}).listen(PORT, "127.0.0.1", () => console.log(`gate on port ${PORT}`));
