import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.io.IOException;
import java.time.Instant;
import java.util.List;

/**
 * Sends a prompt, then prints the responses that are in the topic rollouts.
 *
 * <pre>
 * java -cp 'connectors/client/target/distribution/lib/*' docs/examples/java/SendPrompt.java \
 *   localhost:9092
 * </pre>
 */
public final class SendPrompt {
  public static void main(String[] args) throws IOException {
    KafkaSettings kafka = KafkaSettings.of(args[0]);
    Prompt prompt =
        Prompt.newBuilder()
            .setPromptId("java-1")
            .setDialogue(List.of(new Turn(Role.USER, "What is the capital of France?")))
            .setSource("docs")
            .setTime(Instant.now())
            .build();
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.PROMPTS, Validation.require(prompt)); // encodes, and sets the key
    } // close() returns when Kafka has the record, or throws
    System.out.println("sent prompt " + prompt.getPromptId());

    try (RecordReader<?> rollouts = RecordReader.fromEarliest(kafka, Topic.ROLLOUTS)) {
      rollouts.readToEnd(
          entry -> {
            entry.record().ifPresent(rollout -> System.out.println("rollout " + rollout));
            entry.problem().ifPresent(problem -> System.err.println(problem.getMessage()));
          });
    }
  }

  private SendPrompt() {}
}
