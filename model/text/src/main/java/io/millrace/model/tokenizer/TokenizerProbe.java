package io.millrace.model.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.millrace.schemas.Sha256;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tries a tokenizer in a process of its own before this process loads it: a fault in the native
 * library ends the process that it is in. The other process has limits on time and memory. Each
 * tokenizer is tried once.
 */
public final class TokenizerProbe {
  private static final Logger LOG = LoggerFactory.getLogger(TokenizerProbe.class);

  private static final int PROBE_BYTES = 1 << 14;
  private static final long MOST_TEXT_MILLIS = 400;
  private static final int MOST_CPU_SECONDS = 40;
  private static final int MOST_VIRTUAL_KIB = 16 << 20;
  private static final long MOST_SECONDS = 180;
  private static final int MOST_SAMPLES = 24;

  private static final String SOUND = "sound";

  /** Digests of the tokenizers that were found sound. */
  private static final Set<String> KNOWN = new HashSet<>();

  private TokenizerProbe() {}

  /**
   * Checks a tokenizer.
   *
   * @param where the file, for messages
   * @param json for the native library
   * @param samples characters that the tokenizer's regular expressions match
   * @throws TokenizerException if the library fails with it, or takes too long
   */
  static void require(String where, String json, Set<String> samples) {
    String digest = Sha256.of(json);
    synchronized (KNOWN) {
      if (KNOWN.contains(digest)) {
        return;
      }
      String verdict;
      try {
        verdict = run(json, samples);
      } catch (IOException e) {
        LOG.warn(
            "{} was not tried in a process of its own, because that process failed: {}",
            where,
            e.toString());
        return;
      }
      if (!verdict.equals(SOUND)) {
        throw new TokenizerException(where, "the tokenizers library fails with it: " + verdict);
      }
      KNOWN.add(digest);
    }
  }

  private static String run(String json, Set<String> samples) throws IOException {
    Process process =
        new ProcessBuilder(command()).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    CompletableFuture<String> answer =
        CompletableFuture.supplyAsync(
            () -> {
              try (InputStream in = process.getInputStream()) {
                return new String(in.readNBytes(10_000), StandardCharsets.UTF_8);
              } catch (IOException e) {
                return "";
              }
            },
            task -> Thread.ofVirtual().start(task));
    try {
      try (OutputStream out = process.getOutputStream()) {
        out.write((String.join(" ", codePoints(samples)) + "\n").getBytes(StandardCharsets.UTF_8));
        out.write(json.getBytes(StandardCharsets.UTF_8));
      } catch (IOException e) {
        // The process ended early; its exit status says why.
        LOG.debug("the other process did not read the tokenizer", e);
      }
      if (!process.waitFor(MOST_SECONDS, TimeUnit.SECONDS)) {
        return "it took more than %d s".formatted(MOST_SECONDS);
      }
      String[] lines = answer.join().lines().toArray(String[]::new);
      if (lines.length == 0) {
        throw new IOException(
            "it ended with exit status %d before it read the tokenizer"
                .formatted(process.exitValue()));
      }
      String last = lines[lines.length - 1];
      if (process.exitValue() == 0) {
        return last;
      }
      return "it ended the process that tried it (exit status %d, at %s)"
          .formatted(process.exitValue(), last);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
  }

  private static List<String> codePoints(Set<String> samples) {
    return samples.stream().limit(MOST_SAMPLES).map(s -> String.valueOf(s.codePointAt(0))).toList();
  }

  private static List<String> command() {
    List<String> command = new ArrayList<>();
    if (File.separatorChar == '/') {
      command.addAll(
          List.of(
              "/bin/sh",
              "-c",
              "ulimit -c 0; ulimit -t %d; ulimit -v %d; exec \"$@\""
                  .formatted(MOST_CPU_SECONDS, MOST_VIRTUAL_KIB),
              "sh"));
    }
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-CreateCoredumpOnCrash",
            "-XX:ErrorFile=/dev/null",
            "--enable-native-access=ALL-UNNAMED"));
    for (String property : new String[] {"DJL_CACHE_DIR", "ENGINE_CACHE_DIR", "user.home"}) {
      if (System.getProperty(property) != null) {
        command.add("-D" + property + "=" + System.getProperty(property));
      }
    }
    command.addAll(List.of("-cp", classPath(), TokenizerProbe.class.getName()));
    return command;
  }

  /** The places of the classes that the other process needs; Flink loads them from a job's jar. */
  private static String classPath() {
    Set<String> places = new TreeSet<>();
    for (Class<?> needed :
        List.of(TokenizerProbe.class, HuggingFaceTokenizer.class, LoggerFactory.class)) {
      addPlace(needed, places);
    }
    for (String needed :
        List.of("ai.djl.util.Platform", "com.google.gson.Gson", "com.sun.jna.Native")) {
      try {
        addPlace(Class.forName(needed, false, TokenizerProbe.class.getClassLoader()), places);
      } catch (ClassNotFoundException e) {
        LOG.debug("the library needs a class that is not there", e);
      }
    }
    return places.stream().collect(Collectors.joining(File.pathSeparator))
        + File.pathSeparator
        + System.getProperty("java.class.path");
  }

  private static void addPlace(Class<?> needed, Set<String> places) {
    CodeSource source = needed.getProtectionDomain().getCodeSource();
    if (source != null && source.getLocation() != null) {
      try {
        places.add(Path.of(source.getLocation().toURI()).toString());
      } catch (URISyntaxException | IllegalArgumentException | FileSystemNotFoundException e) {
        LOG.debug("{} does not lie in a file", needed, e);
      }
    }
  }

  /** The other process: reads a tokenizer from standard input and tokenizes hard texts with it. */
  public static void main(String[] args) throws IOException {
    byte[] input = System.in.readAllBytes();
    int lineEnd = 0;
    while (input[lineEnd] != '\n') {
      lineEnd++;
    }
    List<String> samples =
        Arrays.stream(new String(input, 0, lineEnd, StandardCharsets.UTF_8).split(" "))
            .filter(number -> !number.isEmpty())
            .map(number -> Texts.wellFormed(Character.toString(Integer.parseInt(number))))
            .toList();
    String json =
        new String(input, lineEnd + 1, input.length - lineEnd - 1, StandardCharsets.UTF_8);
    System.out.println("loading");
    try (NativeTokenizer tokenizer = new NativeTokenizer("", json)) {
      for (String text : texts(samples)) {
        System.out.println("a text that begins with " + shown(text));
        long start = cpuTime();
        int[] tokens = tokenizer.encode(text);
        tokenizer.decode(Arrays.stream(tokens).asLongStream().toArray());
        long millis = TimeUnit.NANOSECONDS.toMillis(cpuTime() - start);
        if (millis >= MOST_TEXT_MILLIS) {
          System.out.printf(
              "a text of %d characters takes %d ms; it begins with %s%n",
              text.length(), millis, shown(text));
          return;
        }
      }
      System.out.println(SOUND);
    } catch (TokenizerException e) {
      System.out.println(e.getMessage().replaceFirst("^: ", ""));
    }
  }

  private static String shown(String text) {
    return text.substring(0, 4)
        .codePoints()
        .mapToObj("U+%04X"::formatted)
        .collect(Collectors.joining(" "));
  }

  private static long cpuTime() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** Long runs of one character, with and without another one at the end. */
  private static List<String> texts(List<String> samples) {
    List<String> texts = new ArrayList<>();
    for (String sample : samples) {
      String run = sample.repeat(PROBE_BYTES / sample.getBytes(StandardCharsets.UTF_8).length);
      texts.add(run);
      texts.add(run + "\u2603");
    }
    texts.add(String.join("", samples).repeat(1 + 1000 / (1 + samples.size())));
    return texts;
  }
}
