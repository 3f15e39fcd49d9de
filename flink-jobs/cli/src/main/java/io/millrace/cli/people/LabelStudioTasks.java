package io.millrace.cli.people;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.Turn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * Tasks for Label Studio: which response stands on the left is drawn by lot, and nothing in a task
 * says whose it is.
 */
final class LabelStudioTasks {

  /** The interface of the project; its choices are the names of ratings. */
  private static final String INTERFACE =
      """
      <View>
        <Header value="Which response is better: more helpful, and safe and honest?"/>
        <Paragraphs name="prompt" value="$prompt" layout="dialogue" nameKey="role" textKey="content"/>
        <Pairwise name="better" toName="response1,response2"/>
        <Text name="response1" value="$response1"/>
        <Text name="response2" value="$response2"/>
        <Header value="By how much? Choose the last one if they are about the same."/>
        <Choices name="rating" toName="response1" choice="single-radio" required="true">
          <Choice value="Significantly better"/>
          <Choice value="Better"/>
          <Choice value="Slightly better"/>
          <Choice value="Negligibly better or unsure"/>
        </Choices>
      </View>
      """;

  private final ObjectMapper json = new ObjectMapper();
  private final ArrayNode tasks = json.createArrayNode();

  void add(List<Turn> dialogue, String left, String right) {
    ObjectNode data = tasks.addObject().putObject("data");
    ArrayNode prompt = data.putArray("prompt");
    for (Turn turn : dialogue) {
      prompt
          .addObject()
          .put("role", turn.getRole().name().toLowerCase(Locale.ROOT))
          .put("content", turn.getContent());
    }
    data.put("response1", left);
    data.put("response2", right);
  }

  int size() {
    return tasks.size();
  }

  /** Writes the tasks and the interface of the project. */
  void write(Path tasksFile, Path interfaceFile) throws IOException {
    Files.writeString(
        tasksFile, json.writerWithDefaultPrettyPrinter().writeValueAsString(tasks) + "\n");
    Files.writeString(interfaceFile, INTERFACE);
  }
}
