package io.millrace.serve.bench;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.serve.ServeSettings;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Clients of a server on this machine. Each sends one streaming request after the other over one
 * connection, and reads as little of the response as it can: the clients share the processor with
 * the server.
 */
public final class LoadClients {

  private final int port;
  private final String model;
  private final int vocabulary;
  private final int promptLength;
  private final int maxTokens;

  /**
   * @param vocabulary token ids of the prompts are below it
   * @param promptLength tokens of each prompt, which are random
   * @param maxTokens tokens of each response
   */
  public LoadClients(int port, String model, int vocabulary, int promptLength, int maxTokens) {
    this.port = port;
    this.model = model;
    this.vocabulary = vocabulary;
    this.promptLength = promptLength;
    this.maxTokens = maxTokens;
  }

  /**
   * A measurement.
   *
   * @param seconds from the first request to the end of the last response
   * @param firstToken seconds to the first token of each response, sorted
   */
  public record Result(double seconds, double[] firstToken) {

    /** A quantile of the time to the first token, in seconds. */
    public double firstToken(double quantile) {
      return firstToken[Math.min(firstToken.length - 1, (int) (quantile * firstToken.length))];
    }
  }

  /** Runs some clients at once, each with some requests. */
  public Result run(int clients, int requestsEach) throws IOException, InterruptedException {
    double[] firstToken = new double[clients * requestsEach];
    long start = System.nanoTime();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<?>[] running = new Future<?>[clients];
      for (int i = 0; i < clients; i++) {
        int client = i;
        running[i] =
            threads.submit(
                () -> {
                  client(client, requestsEach, firstToken);
                  return null;
                });
      }
      for (Future<?> future : running) {
        future.get();
      }
    } catch (ExecutionException e) {
      throw new IOException("a client failed: " + e.getCause().getMessage(), e.getCause());
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    Arrays.sort(firstToken);
    return new Result(seconds, firstToken);
  }

  private void client(int number, int requests, double[] firstToken) throws IOException {
    SplittableRandom random = new SplittableRandom(number);
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      socket.setTcpNoDelay(true);
      OutputStream out = socket.getOutputStream();
      InputStream in = new BufferedInputStream(socket.getInputStream(), 1 << 16);
      for (int i = 0; i < requests; i++) {
        long start = System.nanoTime();
        out.write(request(random));
        out.flush();
        firstToken[number * requests + i] = (read(in) - start) / 1e9;
      }
    }
  }

  private byte[] request(SplittableRandom random) {
    String prompt =
        IntStream.range(0, promptLength)
            .mapToObj(_ -> Integer.toString(random.nextInt(3, vocabulary)))
            .collect(Collectors.joining(","));
    String body =
        """
        {"model":"%s","prompt":[%s],"max_tokens":%d,"ignore_eos":true,"stream":true}\
        """
            .formatted(model, prompt, maxTokens);
    String head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            + "Content-Type: application/json\r\nContent-Length: "
            + body.length()
            + "\r\n\r\n";
    return (head + body).getBytes(StandardCharsets.US_ASCII);
  }

  /** Reads a response; returns the time of its first event. */
  private static long read(InputStream in) throws IOException {
    String status = line(in);
    if (!status.startsWith("HTTP/1.1 200")) {
      throw new IOException("the server answered " + status);
    }
    long first = 0;
    String line = line(in);
    // The last event is followed by the chunk of length 0 and an empty line.
    while (!line.equals("data: [DONE]")) {
      if (first == 0 && line.startsWith("data:")) {
        first = System.nanoTime();
      }
      line = line(in);
    }
    while (!line.equals("0")) {
      line = line(in);
    }
    line(in);
    return first;
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new IOException("the server closed the connection in a response");
      }
      if (b != '\r') {
        line.append((char) b);
      }
    }
    return line.toString();
  }

  /**
   * Settings of a server for a measurement, of one checkpoint under the name policy.
   *
   * @param directory for copies
   * @param count responses that are sampled at the same time
   * @param context most tokens of a prompt with its response
   */
  public static ServeSettings server(
      Path directory, Path policy, int count, int context, int maxTokens) {
    return new ServeSettings(
        new HttpSettings(
            "127.0.0.1",
            0,
            List.of(),
            Optional.empty(),
            1 << 20,
            4 * count + 16,
            Duration.ofMinutes(1),
            Duration.ofMinutes(10),
            Duration.ofSeconds(1)),
        new LaneSettings(count, count, context, maxTokens, 0),
        Map.of("policy", new ModelSource.Fixed(policy.toString())),
        Map.of(),
        KafkaSettings.of("localhost:9092"),
        new CheckpointCache(directory.resolve("cache").toString(), 1L << 30),
        directory.resolve("copies"),
        _ -> true,
        Optional.empty());
  }
}
