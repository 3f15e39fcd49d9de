// Sends a prompt and a judgment to Millrace as JSON, and waits until Kafka has them.
//
//     npm install kafkajs
//     node send.js localhost:9092

const { Kafka } = require("kafkajs");

const [servers] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "docs", brokers: servers.split(",") });

const prompt = {
  promptId: "node-1", // the identity: a prompt that is sent twice is used once
  dialogue: [{ role: "USER", content: "Wie heißt die Hauptstadt von Frankreich?" }],
  source: "docs",
  time: new Date(), // JSON.stringify writes it as ISO 8601
  _trace: { span: 7 }, // a field of your own begins with _
};
const judgment = {
  judgmentId: "node-1-annotator-7",
  objective: "HELPFULNESS",
  dialogue: prompt.dialogue,
  responseA: { text: "Paris.", unsafe: false },
  responseB: { text: "Frag etwas anderes." },
  preferred: "A",
  rating: "SIGNIFICANTLY_BETTER",
  annotator: "annotator-7",
  source: "docs",
  time: Date.now(), // milliseconds since 1970
};

async function main() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (const [topic, id, record] of [
    ["prompts", prompt.promptId, prompt],
    ["judgments", judgment.judgmentId, judgment],
  ]) {
    await producer.send({
      topic: "millrace." + topic,
      acks: -1, // all in-sync replicas
      messages: [{ key: id, value: JSON.stringify(record) }],
    });
  }
  await producer.disconnect();
  console.log("sent prompt", prompt.promptId, "and judgment", judgment.judgmentId);
}

main().catch((error) => {
  console.error("not sent:", error);
  process.exit(1);
});
