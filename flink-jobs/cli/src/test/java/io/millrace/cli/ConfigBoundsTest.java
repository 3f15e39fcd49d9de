package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigSections;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.Option;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.configuration.MemorySize;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Walks every option of every section and tests its bounds at the edge and beyond it. */
class ConfigBoundsTest {

  /** Options for which every value of the type makes sense. */
  private static final Set<String> UNBOUNDED = Set.of("model.seed");

  /** Values that only the backend torch takes, which the default build does not have. */
  private static final Set<String> NEEDS_TORCH = Set.of("compute.precision=bfloat16");

  private static final List<String> GRPO =
      List.of(
          "ppo.advantage=grpo",
          "ppo.kl-in=loss",
          "ppo.kl-estimator=k3",
          "rollout.samples-per-prompt=2");

  /** Settings that the other checks of a section need when an option is at its bound. */
  private static final Map<String, List<String>> COMPANIONS =
      Map.ofEntries(
          Map.entry(
              "flink.checkpoint-interval=1d",
              List.of("kafka.properties.transaction.timeout.ms=172800000")),
          Map.entry("model.hidden-size=2", List.of("model.heads=1", "model.kv-heads=1")),
          Map.entry("model.heads=1", List.of("model.kv-heads=1")),
          Map.entry("model.heads=1024", List.of("model.hidden-size=2048")),
          Map.entry("model.kv-heads=1024", List.of("model.heads=1024", "model.hidden-size=2048")),
          Map.entry("ppo.batch-size=2", List.of("ppo.mini-batch-size=1", "ppo.score-batch-size=2")),
          Map.entry("ppo.mini-batch-size=65536", List.of("ppo.batch-size=65536")),
          Map.entry("ppo.score-batch-size=65536", List.of("ppo.batch-size=65536")),
          Map.entry("ppo.kl-in=loss", List.of("ppo.kl-estimator=k2")),
          Map.entry("ppo.kl-estimator=k2", List.of("ppo.kl-in=loss")),
          Map.entry("ppo.kl-estimator=k3", List.of("ppo.kl-in=loss")),
          Map.entry("ppo.advantage=rloo", List.of("rollout.samples-per-prompt=2")),
          Map.entry("ppo.advantage=grpo", GRPO),
          Map.entry("ppo.group-deviation=false", GRPO),
          Map.entry("ppo.reward=lcb", List.of("reward-model.heads=2")),
          Map.entry("ppo.shard-optimizer=true", List.of("ppo.updaters=2")),
          Map.entry("ppo.length-penalty-from=1_048_576", List.of("ppo.length-penalty=0.1")),
          Map.entry("ppo.whitening=prompt", List.of("rollout.samples-per-prompt=2")),
          Map.entry("ppo.early-stop-patience=1_000_000", List.of("ppo.held-out-share=0.1")),
          Map.entry(
              "supervised.warmup-steps=999_999_999",
              List.of("supervised.schedule-steps=1000000000")),
          Map.entry("rollout.engine=openai", List.of("rollout.openai-url=http://localhost:8000")),
          Map.entry("rollout.top-p=0.001", List.of("ppo.require-full-sampling=false")),
          Map.entry("preference.label-smoothing=0.2", List.of("preference.loss=dpo")),
          Map.entry(
              "rejection-sampling.samples-per-prompt=1",
              List.of("rejection-sampling.temperatures=1")));

  /** Settings that a path needs beside it. */
  private static final Map<String, List<String>> PATH_COMPANIONS =
      Map.of(
          "rejection-sampling.student", List.of("rejection-sampling.student-name=small"),
          "console.tls-certificate", List.of("console.tls-key=key.pem"),
          "console.tls-key", List.of("console.tls-certificate=cert.pem"));

  /** An option and its full key. */
  record Found(String key, Class<?> type, Option option) {

    boolean isNumber() {
      return type == int.class || type == long.class || isDecimal();
    }

    boolean isDecimal() {
      return type == double.class || type == Double.class;
    }

    boolean isMeasure() {
      return isNumber() || type == Duration.class || type == MemorySize.class;
    }

    /** The text of the next value above or below a bound. */
    String next(String bound, int direction) {
      if (isDecimal()) {
        double value = Double.parseDouble(bound);
        return Double.toString(direction > 0 ? Math.nextUp(value) : Math.nextDown(value));
      } else if (isNumber()) {
        return Long.toString(Long.parseLong(bound.replace("_", "")) + direction);
      } else if (type == Duration.class) {
        return duration(bound).plusMillis(direction).toMillis() + "ms";
      }
      return MemorySize.parse(bound).getBytes() + direction + "b";
    }

    private static Duration duration(String bound) {
      return bound.endsWith("ms")
          ? Duration.parse("PT" + bound.replace("ms", "") + "S").dividedBy(1000)
          : Duration.parse((bound.endsWith("d") ? "P" : "PT") + bound.toUpperCase(Locale.ROOT));
    }

    @Override
    public String toString() {
      return key;
    }
  }

  private static List<Found> options() {
    List<Found> found = new ArrayList<>();
    ConfigSections.all().forEach((key, type) -> collect(type, key + ".", found));
    return found;
  }

  private static void collect(Class<?> section, String prefix, List<Found> found) {
    for (RecordComponent component : section.getRecordComponents()) {
      String key =
          prefix
              + component
                  .getName()
                  .replaceAll("([a-z0-9])([A-Z])", "$1-$2")
                  .toLowerCase(Locale.ROOT);
      Option option = component.getAnnotation(Option.class);
      if (option == null) {
        collect(component.getType(), key + ".", found);
      } else if (component.getGenericType() instanceof ParameterizedType generic) {
        Type[] arguments = generic.getActualTypeArguments();
        boolean isMap = component.getType() == Map.class;
        found.add(
            new Found(
                isMap ? key + ".name" : key, (Class<?>) arguments[arguments.length - 1], option));
      } else {
        found.add(new Found(key, component.getType(), option));
      }
    }
  }

  static Stream<Found> measures() {
    return options().stream().filter(Found::isMeasure);
  }

  static Stream<Found> choices() {
    return options().stream().filter(found -> found.type().isEnum() || isBoolean(found));
  }

  static Stream<Found> paths() {
    return options().stream().filter(found -> found.option().path());
  }

  private static boolean isBoolean(Found found) {
    return found.type() == boolean.class;
  }

  private static MillraceConfig load(String key, String value) {
    String setting = key + "=" + value;
    List<String> settings = new ArrayList<>(List.of(setting));
    settings.addAll(COMPANIONS.getOrDefault(setting, List.of()));
    return ConfigLoader.load(Optional.empty(), settings);
  }

  private static void assertAccepted(Found found, String value) {
    try {
      var _ = load(found.key(), value);
    } catch (ConfigException e) {
      throw new AssertionError(found + "=" + value + ": " + e.getMessage(), e);
    }
  }

  /** The one problem names the key, the bound and the value. */
  private static void assertRefused(Found found, String value, String... words) {
    List<String> problems =
        assertThrows(
                ConfigException.class,
                () -> load(found.key(), value),
                () -> found + "=" + value + " is accepted")
            .problems();
    assertEquals(1, problems.size(), problems.toString());
    String problem = problems.getFirst();
    assertTrue(problem.startsWith(found.key() + " must be "), problem);
    assertTrue(problem.endsWith(", not '" + value + "'"), problem);
    for (String word : words) {
      assertTrue(problem.contains(word), problem);
    }
  }

  @Test
  void theWalkFindsEveryKindOfOption() {
    Set<String> keys = options().stream().map(Found::key).collect(Collectors.toSet());
    assertEquals(options().size(), keys.size());
    assertTrue(
        keys.containsAll(
            List.of(
                "flink.checkpoint-interval",
                "checkpoints.cache-size",
                "ppo.optimizer.beta1",
                "reward-model.safety.mixing.name",
                "rejection-sampling.temperatures",
                "evaluation.gate.max-kl",
                "campaign.pairs")),
        keys.toString());
    assertTrue(measures().count() > 100, measures().count() + " measures");
    assertTrue(choices().count() > 10, choices().count() + " choices");
    assertTrue(paths().count() > 8, paths().count() + " paths");
    COMPANIONS.keySet().forEach(setting -> assertTrue(keys.contains(setting.split("=")[0])));
  }

  @ParameterizedTest
  @MethodSource("measures")
  void everyNumberDurationAndSizeHasBoundsOnBothSides(Found found) {
    Option option = found.option();
    boolean isBounded =
        option.min().isEmpty() != option.above().isEmpty()
            && option.max().isEmpty() != option.below().isEmpty();
    assertEquals(!UNBOUNDED.contains(found.key()), isBounded);
  }

  @ParameterizedTest
  @MethodSource("measures")
  void valuesAtABoundAreAcceptedAndValuesBeyondItAreRefused(Found found) {
    Option option = found.option();
    if (!option.min().isEmpty()) {
      assertAccepted(found, option.min());
      if (found.isNumber()) {
        assertRefused(found, found.next(option.min(), -1), option.min());
      } else if (!option.min().startsWith("0")) {
        // Nothing is shorter than 0ms or smaller than 0b.
        assertRefused(found, found.next(option.min(), -1), option.min());
      }
    }
    if (!option.max().isEmpty()) {
      assertAccepted(found, option.max());
      assertRefused(found, found.next(option.max(), 1), option.max());
    }
    if (!option.above().isEmpty()) {
      assertAccepted(found, found.next(option.above(), 1));
      assertRefused(found, option.above(), "above " + option.above());
    }
    if (!option.below().isEmpty()) {
      assertAccepted(found, found.next(option.below(), -1));
      assertRefused(found, option.below(), "below " + option.below());
    }
  }

  @ParameterizedTest
  @MethodSource("measures")
  void textsThatAreNoNumberDurationOrSizeAreRefused(Found found) {
    List<String> texts =
        new ArrayList<>(List.of("much", "NaN", "Infinity", "-Infinity", "1e400", "-", "0x10"));
    if (!found.isDecimal()) {
      texts.addAll(List.of("1.5", "1e3", "9".repeat(30)));
    }
    texts.addAll(
        found.isNumber() ? List.of("1d", "1ms", "1 2") : List.of("-5", "-5s", "5 apples", "5w"));
    for (String text : texts) {
      assertRefused(found, text);
    }
  }

  @ParameterizedTest
  @MethodSource("choices")
  void everyConstantIsAcceptedAndNothingElse(Found found) {
    List<String> constants =
        isBoolean(found)
            ? List.of("true", "false")
            : Stream.of(found.type().getEnumConstants())
                .map(constant -> constant.toString().toLowerCase(Locale.ROOT))
                .map(name -> name.replace('_', '-'))
                .toList();
    constants.stream()
        .filter(constant -> !NEEDS_TORCH.contains(found.key() + "=" + constant))
        .forEach(constant -> assertAccepted(found, constant));
    assertRefused(found, "perhaps", constants.toArray(String[]::new));
  }

  @ParameterizedTest
  @MethodSource("paths")
  void pathsAreCheckedAndUrisWhereTheyAreAllowed(Found found) {
    List<String> companions = PATH_COMPANIONS.getOrDefault(found.key(), List.of());
    for (String uri : List.of("s3://bucket/x", "relative/path", "/absolute/path")) {
      List<String> settings = new ArrayList<>(companions);
      settings.add(found.key() + "=" + uri);
      if (uri.startsWith("s3") && found.option().local()) {
        assertRefused(found, uri, "a path on this machine");
      } else {
        assertFalse(
            ConfigLoader.load(Optional.empty(), settings).withAbsolutePaths().sections().isEmpty());
      }
    }
    assertThrows(ConfigException.class, () -> load(found.key(), "s3:no-slashes"));
    assertThrows(ConfigException.class, () -> load(found.key(), "a\0b"));
  }
}
