// What the conformance suite looks for on a server: tools, resources and prompts by the names it knows.
import { setTimeout as pause } from "node:timers/promises";
import { CreateMessageResultSchema, ElicitResultSchema } from "@modelcontextprotocol/sdk/types.js";

// The smallest picture and the smallest sound: one pixel, no samples.
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const say = (text) => ({ type: "text", text });
const image = { type: "image", data: png, mimeType: "image/png" };
const attached = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });
const result = (...content) => ({ content });

async function elicit(ask, message, properties, required) {
  const requestedSchema = { type: "object", properties, ...(required && { required }) };
  const { action, content } = await ask("elicitation/create", { message, requestedSchema }, ElicitResultSchema);
  return result(say(`Answered: action=${action}, content=${JSON.stringify(content)}`));
}

const titled = (...titles) => titles.map((title, at) => ({ const: `value${at + 1}`, title }));
const options = ["option1", "option2", "option3"];

export const tools = {
  test_simple_text: () => result(say("Nothing but text.")),
  test_image_content: () => result(image),
  test_audio_content: () => result({ type: "audio", data: wav, mimeType: "audio/wav" }),
  test_embedded_resource: () => result(attached("test://embedded-resource", "text/plain", "Attached.")),
  test_multiple_content_types: () =>
    result(say("Several kinds:"), image, attached("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')),
  async test_tool_with_logging(_, { sendNotification }) {
    for (const data of ["begun", "at work", "done"]) {
      await sendNotification({ method: "notifications/message", params: { level: "info", data } });
      await pause(50);
    }
    return result(say("Logged."));
  },
  test_error_handling: () => ({ ...result(say("It went wrong, as it should.")), isError: true }),
  async test_tool_with_progress(_, { sendNotification, _meta }) {
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: _meta?.progressToken, progress, total: 100 };
      if (params.progressToken !== undefined) await sendNotification({ method: "notifications/progress", params });
      await pause(50);
    }
    return result(say("Progressed."));
  },
  async test_sampling({ prompt }, { ask }) {
    const messages = [{ role: "user", content: say(prompt) }];
    const { content } = await ask("sampling/createMessage", { messages, maxTokens: 100 }, CreateMessageResultSchema);
    return result(say(`The model said: ${content.text}`));
  },
  test_elicitation: ({ message }, { ask }) =>
    elicit(ask, message, { username: { type: "string" }, email: { type: "string" } }, ["username", "email"]),
  test_elicitation_sep1034_defaults: (_, { ask }) =>
    elicit(ask, "Defaults, please", {
      name: { type: "string", default: "John Doe" },
      age: { type: "integer", default: 30 },
      score: { type: "number", default: 95.5 },
      status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean", default: true },
    }),
  test_elicitation_sep1330_enums: (_, { ask }) =>
    elicit(ask, "Choose, please", {
      untitledSingle: { type: "string", enum: options },
      titledSingle: { type: "string", oneOf: titled("First", "Second", "Third") },
      legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["One", "Two", "Three"] },
      untitledMulti: { type: "array", items: { type: "string", enum: options } },
      titledMulti: { type: "array", items: { anyOf: titled("First", "Second", "Third") } },
    }),
  json_schema_2020_12_tool: () => result(say("Only its schema matters.")),
  // An event that can be named, the end of the stream, and the answer for who comes back.
  async test_reconnection(_, { sendNotification, leave }) {
    await sendNotification({ method: "notifications/message", params: { level: "info", data: "come back" } });
    leave();
    await pause(100);
    return result(say("Resumed."));
  },
};

const object = (properties, required) => ({ type: "object", properties, ...(required && { required }) });
const schemas = {
  test_sampling: object({ prompt: { type: "string" } }, ["prompt"]),
  test_elicitation: object({ message: { type: "string" } }, ["message"]),
  json_schema_2020_12_tool: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: { address: object({ street: { type: "string" }, city: { type: "string" } }) },
    properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
    additionalProperties: false,
  },
};
export const toolList = Object.keys(tools).map((name) => ({
  name,
  description: `The tool ${name}`,
  inputSchema: schemas[name] ?? object({}),
}));

export const resources = {
  "test://static-text": { mimeType: "text/plain", text: "Text that stays." },
  "test://static-binary": { mimeType: "image/png", blob: png },
  "test://watched-resource": { mimeType: "text/plain", text: "Watched." },
};

export const templates = {
  list: [{ uriTemplate: "test://template/{id}/data", name: "data", description: "The data of an id", mimeType: "application/json" }],
  read(uri) {
    const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
    return id && { mimeType: "application/json", text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) };
  },
};

const user = (content) => ({ role: "user", content });
export const prompts = {
  test_simple_prompt: { names: [], messages: () => [user(say("A simple prompt."))] },
  test_prompt_with_arguments: {
    names: ["arg1", "arg2"],
    messages: ({ arg1, arg2 }) => [user(say(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  },
  test_prompt_with_embedded_resource: {
    names: ["resourceUri"],
    messages: ({ resourceUri }) => [user(attached(resourceUri, "text/plain", "Attached.")), user(say("Look at it."))],
  },
  test_prompt_with_image: { names: [], messages: () => [user(image), user(say("Look at it."))] },
};
