// A stdio MCP server on Deno's own streams.
import { answers, lines } from "../notes.mjs";
const encoder = new TextEncoder();
for await (const line of lines(Deno.stdin.readable.pipeThrough(new TextDecoderStream()))) {
  const reply = answers("notes-deno", line);
  if (reply === null) continue;
  let bytes = encoder.encode(reply);
  while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes));
}
