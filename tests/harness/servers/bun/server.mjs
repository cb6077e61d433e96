// A stdio MCP server on Bun's own streams.
import { answers, lines } from "../notes.mjs";
const decoder = new TextDecoder();
async function* chunks() {
  for await (const bytes of Bun.stdin.stream()) yield decoder.decode(bytes, { stream: true });
}
for await (const line of lines(chunks())) {
  const reply = answers("notes-bun", line);
  if (reply !== null) await Bun.write(Bun.stdout, reply);
}
