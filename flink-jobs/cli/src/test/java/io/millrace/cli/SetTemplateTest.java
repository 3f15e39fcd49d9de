package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code millrace checkpoint set-template}. */
class SetTemplateTest {
  @TempDir Path directory;

  private static String run(int expected, String... arguments) {
    StringWriter error = new StringWriter();
    int code = Millrace.commandLine().setErr(new PrintWriter(error)).execute(arguments);
    assertEquals(expected, code, error.toString());
    return error.toString();
  }

  private static void refused(String problem, String... arguments) {
    String error = run(2, arguments);
    assertTrue(error.contains(problem), error);
  }

  @Test
  void aBaseModelGetsATemplateAndAPublishedOneStaysAsItIs() throws Exception {
    Path texts =
        Files.write(directory.resolve("t.jsonl"), List.of("{\"text\": \"flour and water\"}"));
    String made = directory.resolve("made").toString();
    String base = directory.resolve("base").toString();
    run(0, "init", "--texts", texts.toString(), "--out", made, "--set", "model.vocab-size=300");
    refused("is a published checkpoint", "checkpoint", "set-template", made, "--form", "llama2");
    run(0, "checkpoint", "verify", made);

    run(0, "checkpoint", "export", made, "--out", base);
    Path config = Path.of(base, "tokenizer_config.json");
    String without = Files.readString(config).replace("chat_template", "other");
    Files.writeString(config, without);
    String[] generate = {"generate", "--checkpoint", base, "--prompt", "hi", "--max-tokens", "1"};
    refused("checkpoint set-template", generate);

    refused("no token \"<|im_end|>\"", "checkpoint", "set-template", base, "--form", "chatml");
    assertEquals(without, Files.readString(config));
    refused("--form must be llama2", "checkpoint", "set-template", base, "--form", "alpaca");
    Path other = Files.writeString(directory.resolve("o.jinja"), "{{ messages[0]['content'] }}");
    refused("is not supported", "checkpoint", "set-template", base, "--form", other.toString());
    assertEquals(without, Files.readString(config));

    run(0, "checkpoint", "set-template", base, "--form", "Llama2");
    run(0, generate);
  }
}
