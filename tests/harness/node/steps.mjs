// What an SDK client is told to do, and how it tells what came of it; shared by client.mjs and http_client.mjs.
//
// Steps: {"list":true} · {"call":{"name":…,"arguments":{…}}}, with "progress":true to count the notifications on the way ·
// {"ping":true} · {"wait":true} (for a line on stdin).
// One JSON line per event: {"connected":…} · {"result":…} or {"error":{code,message,data}} for each step · {"closed":…};
// {"notified":{method,params}} of each notification, where the specification has "notifications":true ·
// {"asked":METHOD} where the server asks for what "answers" in the specification has, by method (v2 only).
import readline from "node:readline";

export const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const failure = ({ code, message, data, name }) => ({ code, message, data, name });
const typed = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function call(client, { call, progress }, sdk) {
  const request = { arguments: {}, ...call };
  if (!progress) return client.callTool(request);
  let seen = 0;
  const options = { onprogress: () => void ++seen };
  // v1 takes the result's schema before the options.
  const result = await client.callTool(request, ...(sdk === "v1" ? [undefined] : []), options);
  return { ...result, progress: seen };
}

async function run(client, step, sdk) {
  if (step.list) {
    const tools = [];
    let cursor;
    do {
      const page = await client.listTools(cursor === undefined ? {} : { cursor });
      tools.push(...page.tools);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return { tools };
  }
  if (step.call) return call(client, step, sdk);
  if (step.ping) return client.ping();
  if (step.wait) return void (await typed.next());
  throw new Error(`unknown step ${JSON.stringify(step)}`);
}

export async function runSteps(client, { steps, sdk }) {
  for (const step of steps) {
    try {
      say({ result: (await run(client, step, sdk)) ?? null });
    } catch (error) {
      say({ error: failure(error) });
    }
  }
}

// The Client of an SDK, in the mode that the specification names.
export function makeClient(Client, { sdk, mode, answers = {}, notifications }) {
  const options = { capabilities: Object.fromEntries(Object.keys(answers).map((method) => [method.split("/")[0], {}])) };
  if (sdk === "v2" && mode && mode !== "legacy")
    options.versionNegotiation = { mode: mode === "auto" ? "auto" : { pin: mode } };
  const client = new Client({ name: `test-client-${sdk}`, version: "1.0.0" }, options);
  if (notifications) client.fallbackNotificationHandler = async ({ method, params }) => say({ notified: { method, params } });
  for (const [method, answer] of Object.entries(answers))
    client.setRequestHandler(method, async () => {
      say({ asked: method });
      return answer;
    });
  return client;
}

export const connectedTo = (client) => ({ server: client.getServerVersion?.(), negotiated: client.getNegotiatedProtocolVersion?.() });
