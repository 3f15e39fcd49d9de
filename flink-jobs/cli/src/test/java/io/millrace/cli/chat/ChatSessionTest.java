package io.millrace.cli.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cli.CommandRun;
import io.millrace.cli.Millrace;
import io.millrace.cli.model.OpenPolicy;
import io.millrace.cli.model.SamplingFlags;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.model.chat.Message;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.PrintableStream;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Dialogues with tiny models of random weights. */
class ChatSessionTest {

  @TempDir private static Path directory;
  private static Backend backend;
  private static OpenPolicy first;
  private static OpenPolicy second;

  @BeforeAll
  static void open() throws IOException {
    Path texts =
        Files.write(directory.resolve("t.jsonl"), List.of("{\"text\": \"flour and water\"}"));
    backend = Backends.openDefault();
    first = policy(texts, "one", "1");
    second = policy(texts, "two", "2");
  }

  private static OpenPolicy policy(Path texts, String name, String seed) throws IOException {
    String out = directory.resolve(name).toString();
    CommandRun init =
        CommandRun.of(
            "init", "--texts", texts.toString(), "--out", out, "--set", "model.seed=" + seed);
    assertEquals(0, init.code(), init.error());
    return OpenPolicy.open(backend, new ConfigOptions(), out);
  }

  @AfterAll
  static void close() {
    first.close();
    second.close();
    backend.close();
  }

  private static SamplingFlags sampling(String... arguments) {
    SamplingFlags flags = new SamplingFlags();
    new CommandLine(CommandLine.Model.CommandSpec.create().addMixin("s", spec(flags)))
        .parseArgs(arguments);
    return flags;
  }

  private static CommandLine.Model.CommandSpec spec(Object options) {
    return CommandLine.Model.CommandSpec.forAnnotatedObject(options);
  }

  private record Chat(String out, List<List<Message>> dialogues) {}

  private static Chat chat(List<OpenPolicy> policies, String system, String... lines)
      throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    SamplingFlags sampling = sampling("--max-tokens", "12", "--seed", "3");
    List<Speaker> speakers =
        policies.stream().map(policy -> new Speaker(policy, sampling, 256)).toList();
    try (PrintWriter print = new PrintWriter(out, true, StandardCharsets.UTF_8)) {
      new ChatSession(
              speakers,
              Optional.of(system),
              new BufferedReader(new StringReader(String.join("\n", lines))),
              print,
              false,
              60)
          .run();
      return new Chat(
          out.toString(StandardCharsets.UTF_8), speakers.stream().map(Speaker::dialogue).toList());
    } finally {
      speakers.forEach(Speaker::close);
    }
  }

  private static List<String> contents(List<Message> dialogue) {
    return dialogue.stream().map(Message::content).toList();
  }

  @Test
  void turnsFollowEachOther() throws IOException {
    Chat chat = chat(List.of(first), "Be brief.", "Hi", "", "//how\\", "are you?");
    List<Message> dialogue = chat.dialogues().getFirst();
    assertEquals(5, dialogue.size());
    assertEquals(Message.system("Be brief."), dialogue.get(0));
    assertEquals(Message.user("Hi"), dialogue.get(1));
    assertEquals(Message.user("/how\nare you?"), dialogue.get(3));
    Chat same = chat(List.of(first), "Be brief.", "Hi", "", "//how\\", "are you?");
    assertEquals(chat, same, "the seed decides");
  }

  @Test
  void commandsChangeTheDialogue() throws IOException {
    List<Message> once = chat(List.of(first), "", "Hi").dialogues().getFirst();
    Chat undone = chat(List.of(first), "", "Hi", "/undo", "/undo", "/again");
    assertTrue(undone.dialogues().getFirst().isEmpty());
    assertTrue(undone.out().contains("(there is no exchange to take back)"), undone.out());
    assertTrue(undone.out().contains("(there is no response to sample again)"), undone.out());
    List<Message> again = chat(List.of(first), "", "Hi", "/again").dialogues().getFirst();
    assertEquals(2, again.size());
    assertNotEquals(once.getLast(), again.getLast());
    List<Message> fresh =
        chat(List.of(first), "", "Hi", "/system Speak Latin.", "Salve").dialogues().getFirst();
    assertEquals(List.of("Speak Latin.", "Salve"), contents(fresh).subList(0, 2));
    assertEquals(
        3, chat(List.of(first), "Hm.", "Hi", "/reset", "Ho").dialogues().getFirst().size());
    String unknown = chat(List.of(first), "", "/nope \u001b[2J", "/keep 1").out();
    assertTrue(unknown.contains("(there is no command /nope"), unknown);
    assertTrue(unknown.contains("/keep needs two versions"), unknown);
    assertTrue(chat(List.of(first), "", "/quit", "Hi").dialogues().getFirst().isEmpty());
  }

  @Test
  void twoVersionsAnswerSideBySide() throws IOException {
    Chat chat = chat(List.of(first, second), "", "Hi");
    List<String> lines = chat.out().lines().toList();
    assertTrue(lines.get(0).contains(" │ "), chat.out());
    assertTrue(lines.get(1).contains("┼"), chat.out());
    assertNotEquals(chat.dialogues().getFirst(), chat.dialogues().getLast());
    Chat kept = chat(List.of(first, second), "", "Hi", "/keep 2");
    assertEquals(kept.dialogues().getFirst(), kept.dialogues().getLast());
    assertEquals(chat.dialogues().getLast(), kept.dialogues().getFirst());
  }

  @Test
  void aDialogueThatOutgrowsTheModelLosesItsOldestTurns() throws IOException {
    String[] many = new String[40];
    Arrays.fill(many, "tell me about flour and water and flour and water");
    Chat chat = chat(List.of(first), "Be brief.", many);
    assertEquals(81, chat.dialogues().getFirst().size());
    assertTrue(chat.out().contains("does not see the first"), chat.out());
    Chat tooLong = chat(List.of(first), "", "Hi", "x".repeat(5000));
    assertTrue(tooLong.out().contains("shorten the text or lower --max-tokens"), tooLong.out());
    assertEquals(2, tooLong.dialogues().getFirst().size(), "the turn is not kept");
    IOException endless =
        assertThrows(IOException.class, () -> chat(List.of(first), "", "x".repeat((1 << 20) + 1)));
    assertTrue(endless.getMessage().contains("at most 1048576 characters"), endless.getMessage());
  }

  @Test
  void linesBreakAtSpacesAndFit() {
    assertEquals(List.of("one two", "three"), Columns.wrap("one two three", 7));
    assertEquals(List.of("abcde", "fg"), Columns.wrap("abcdefg", 5));
    assertEquals(List.of("日本", "語"), Columns.wrap("日本語", 5));
    assertEquals(List.of("a", "", "b"), Columns.wrap("a\n\nb", 5));
    assertEquals(List.of(""), Columns.wrap("", 5));
    String text = "a word and  a loooooooooong word, 日本語 mixed 🙂 in between";
    for (int end = 0; end <= text.length(); end++) {
      List<String> part = Columns.wrap(text.substring(0, end), 9);
      List<String> whole = Columns.wrap(text, 9);
      assertEquals(
          part.subList(0, part.size() - 1), whole.subList(0, part.size() - 1), "at " + end);
    }
  }

  @Test
  void rowsAppearOnceBothSidesAreCertain() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Columns columns = new Columns(new PrintWriter(bytes, true, StandardCharsets.UTF_8), 23, false);
    columns.add(0, "one two three four");
    columns.print();
    assertEquals("", bytes.toString(StandardCharsets.UTF_8), "the right side may still grow");
    columns.add(1, "five");
    columns.end(1);
    columns.print();
    assertEquals("one two    │ five\n", bytes.toString(StandardCharsets.UTF_8));
    columns.end(0);
    columns.print();
    assertEquals("one two    │ five\nthree four │ \n", bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void aTerminalShowsTheRowInProgress() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Columns columns = new Columns(new PrintWriter(bytes, true, StandardCharsets.UTF_8), 23, true);
    columns.add(0, "one two");
    columns.add(1, "five");
    columns.print();
    columns.add(0, " three");
    columns.end(0);
    columns.end(1);
    columns.print();
    assertEquals(
        "\rone two    │ five      \rone two    │ five      \n\rthree      │           \n",
        bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void theChatDrawsPastTheStreamThatEscapesControlCharacters() {
    ByteArrayOutputStream terminal = new ByteArrayOutputStream();
    PrintStream stdout = System.out;
    var stdin = System.in;
    try {
      System.setOut(PrintableStream.of(new PrintStream(terminal, true, StandardCharsets.UTF_8)));
      System.setIn(new ByteArrayInputStream("Hi\n".getBytes(StandardCharsets.UTF_8)));
      int code =
          Millrace.commandLine()
              .setOut(new PrintWriter(terminal, true, StandardCharsets.UTF_8))
              .execute("chat", "--checkpoint", directory.resolve("one").toString());
      assertEquals(0, code);
      System.out.print("\r");
      System.out.flush();
      String printed = terminal.toString(StandardCharsets.UTF_8);
      assertTrue(printed.endsWith("\\r"), "the stream of all commands escapes: " + printed);
      assertTrue(printed.lines().count() > 1, "the chat reaches the terminal: " + printed);
    } finally {
      System.setOut(stdout);
      System.setIn(stdin);
    }
  }

  @Test
  void theCommandReadsStandardInput() {
    var stdin = System.in;
    try {
      System.setIn(new ByteArrayInputStream("Hi\n".getBytes(StandardCharsets.UTF_8)));
      CommandRun run = CommandRun.of("chat", "--checkpoint", directory.resolve("one").toString());
      assertEquals(0, run.code(), run.error());
      assertFalse(run.out().isBlank());
      System.setIn(new ByteArrayInputStream("/help".getBytes(StandardCharsets.UTF_8)));
      CommandRun help = CommandRun.of("chat", "--checkpoint", directory.resolve("one").toString());
      assertTrue(help.out().contains("/reset         begins anew"), help.out());
      System.setIn(new ByteArrayInputStream(new byte[] {'H', (byte) 0xff, '\n'}));
      CommandRun latin1 =
          CommandRun.of("chat", "--checkpoint", directory.resolve("one").toString());
      assertEquals(2, latin1.code());
      assertTrue(latin1.error().contains("the text is not UTF-8"), latin1.error());
    } finally {
      System.setIn(stdin);
    }
    for (String[] bad :
        List.of(
            new String[] {"--width", "3"},
            new String[] {"--checkpoint", "b", "--checkpoint", "c"},
            new String[] {"--temperature", "-1"})) {
      String[] all = new String[bad.length + 3];
      System.arraycopy(new String[] {"chat", "--checkpoint", "a"}, 0, all, 0, 3);
      System.arraycopy(bad, 0, all, 3, bad.length);
      assertEquals(2, CommandRun.of(all).code());
    }
  }
}
