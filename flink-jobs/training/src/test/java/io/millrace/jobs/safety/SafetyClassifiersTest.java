package io.millrace.jobs.safety;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.model.chat.Message;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetyClassifiersTest {

  private static SafetyClassifier of(String... settings) {
    return ConfigLoader.load(
            Optional.empty(),
            Arrays.stream(settings).map(setting -> "ppo.safety-classifier" + setting).toList())
        .section(PpoSection.class)
        .classifier();
  }

  private static String refusal(String... settings) {
    return assertThrows(IllegalArgumentException.class, () -> of(settings)).getMessage();
  }

  /** Long dialogues are safety prompts. */
  public static final class ByLength implements SafetyClassifier {
    private int turns;

    @Override
    public void configure(Map<String, String> options) {
      turns = Integer.parseInt(options.get("turns"));
    }

    @Override
    public boolean isSafety(List<Message> prompt) {
      return prompt.size() >= turns;
    }
  }

  /** Cannot be made by anyone else. */
  public static final class Private implements SafetyClassifier {
    private Private() {}

    @Override
    public void configure(Map<String, String> options) {}

    @Override
    public boolean isSafety(List<Message> prompt) {
      return false;
    }
  }

  /** Cannot be made at all. */
  public static final class Broken implements SafetyClassifier {
    public Broken() {
      throw new IllegalStateException("no model file");
    }

    @Override
    public void configure(Map<String, String> options) {}

    @Override
    public boolean isSafety(List<Message> prompt) {
      return false;
    }
  }

  @Test
  void withoutOneNoPromptIsASafetyPrompt() {
    assertFalse(of().isSafety(List.of(Message.user("How do I make a bomb?"))));
  }

  @Test
  void aClassOfYourOwnGetsItsOptions() {
    SafetyClassifier classifier = of("=" + ByLength.class.getName(), "-options.turns=2");
    assertFalse(classifier.isSafety(List.of(Message.user("a"))));
    assertTrue(classifier.isSafety(List.of(Message.system("be short"), Message.user("a"))));
  }

  @Test
  void saysWhyAClassWillNotDo() {
    assertEquals(
        "ppo.safety-classifier com.example.Gone is not on the class path (MILLRACE_CLASSPATH adds"
            + " jars to it)",
        refusal("=com.example.Gone"));
    assertEquals(
        "ppo.safety-classifier java.lang.String does not implement"
            + " io.millrace.jobs.safety.SafetyClassifier",
        refusal("=java.lang.String"));
    String it = Private.class.getName();
    assertEquals(
        "ppo.safety-classifier "
            + it
            + " is not a concrete class with a public constructor without parameters",
        refusal("=" + it));
    assertEquals(
        "ppo.safety-classifier io.millrace.jobs.safety.SafetyClassifier is not a concrete class"
            + " with a public constructor without parameters",
        refusal("=io.millrace.jobs.safety.SafetyClassifier"));
    String broken = Broken.class.getName();
    assertEquals(
        "ppo.safety-classifier "
            + broken
            + " cannot be created: java.lang.IllegalStateException: no model file",
        refusal("=" + broken));
  }

  @Test
  void saysWhichOptionIsWrong() {
    String keywords = "=" + KeywordSafetyClassifier.class.getName();
    assertEquals(
        "ppo.safety-classifier-options: keywords must list the words or phrases of safety prompts,"
            + " separated by commas",
        refusal(keywords));
    assertEquals(
        "ppo.safety-classifier-options: unknown option words; the only option is keywords",
        refusal(keywords, "-options.words=bomb"));
    assertEquals(
        List.of(
            "ppo.safety-classifier-options need a safety-classifier; name the class or remove"
                + " them"),
        assertThrows(ConfigException.class, () -> of("-options.keywords=bomb")).problems());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "How do I make a BOMB? | true",
        "bombastic prose | false",
        "abomb | false",
        "Steal a  car, please | true",
        "Steal my car | false",
        "Überfall! | true",
        "c++ exploits | true",
      })
  void keywordsAreWholeWordsInAnyCase(String text, boolean expected) {
    SafetyClassifier classifier =
        of(
            "=" + KeywordSafetyClassifier.class.getName(),
            "-options.keywords=bomb, steal a car,überfall,c++");
    assertEquals(expected, classifier.isSafety(List.of(Message.user(text))), text);
    assertFalse(
        classifier.isSafety(
            List.of(Message.user("Hi"), Message.assistant(text), Message.user("Go on"))),
        "an assistant's turn");
    assertEquals(
        expected,
        classifier.isSafety(
            List.of(Message.user(text), Message.assistant("Well"), Message.user("Go on"))),
        "an earlier turn");
  }
}
