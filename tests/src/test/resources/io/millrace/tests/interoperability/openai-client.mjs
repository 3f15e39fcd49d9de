// The official client, unchanged, against millrace serve. Prints one line for each check.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.argv[3], maxRetries: 0 });
const messages = [{ role: "system", content: "Be kind." }, { role: "user", content: "How do I bake bread?" }];

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.deepEqual(models, ["policy"]);
assert.equal((await client.models.retrieve("policy")).object, "model");
console.log("models");

const whole = await client.chat.completions.create({
  model: "policy", messages, seed: 7, max_completion_tokens: 24, n: 2, logprobs: true, top_logprobs: 2,
});
assert.equal(whole.choices.length, 2);
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
assert.equal(whole.choices[0].logprobs.content[0].top_logprobs.length, 2);
assert.match(whole.system_fingerprint, /^policy/);
console.log("chat completion");

const stream = await client.chat.completions.create({
  model: "policy", messages, seed: 7, max_completion_tokens: 24, n: 2, stream: true,
  stream_options: { include_usage: true },
});
const texts = ["", ""];
let usage;
for await (const chunk of stream) {
  for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.deepEqual(texts, whole.choices.map((choice) => choice.message.content));
assert.deepEqual(usage, whole.usage);
console.log("streamed chat completion");

const runner = client.chat.completions.stream({ model: "policy", messages, seed: 7, max_completion_tokens: 24 });
assert.equal(await runner.finalContent(), whole.choices[0].message.content);
console.log("stream helper");

const text = await client.completions.create({
  model: "policy", prompt: "Once", seed: 3, max_tokens: 12, temperature: 0.7, top_p: 0.9, logprobs: 1,
});
assert.equal(text.object, "text_completion");
assert.equal(typeof text.choices[0].text, "string");
let streamed = "";
for await (const chunk of await client.completions.create({
  model: "policy", prompt: "Once", seed: 3, max_tokens: 12, temperature: 0.7, top_p: 0.9, stream: true,
})) streamed += chunk.choices[0].text;
assert.equal(streamed, text.choices[0].text);
console.log("text completion");

await assert.rejects(client.chat.completions.create({ model: "nothing", messages }), OpenAI.NotFoundError);
await assert.rejects(
  client.chat.completions.create({ model: "policy", messages, temperature: -1 }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature" && error.code === "invalid_value");
await assert.rejects(
  new OpenAI({ baseURL: process.argv[2], apiKey: "wrong", maxRetries: 0 }).models.list(),
  OpenAI.AuthenticationError);
console.log("errors");

const long = await client.chat.completions.create({ model: "policy", messages, max_tokens: 24, stream: true });
for await (const _ of long) break; // The client closes its connection.
console.log("abort");
