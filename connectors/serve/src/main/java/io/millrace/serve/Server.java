package io.millrace.serve;

import io.millrace.model.tensor.Backend;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.completion.Models;
import io.millrace.serve.feedback.RecordFormats;
import io.millrace.serve.feedback.Recorder;
import io.millrace.serve.follow.Follower;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpServer;
import io.millrace.serve.metrics.ServeMetrics;
import io.millrace.serve.sampling.Lane;
import io.millrace.serve.sampling.ModelLoader;
import io.millrace.serve.sampling.SamplingLoop;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;

/** A running server: sampling, the versions that it follows, and HTTP. */
public final class Server implements AutoCloseable {

  private final SamplingLoop loop;
  private final Follower follower;
  private final HttpServer http;
  private final Optional<Recorder> recorder;

  private Server(
      SamplingLoop loop, Follower follower, HttpServer http, Optional<Recorder> recorder) {
    this.loop = loop;
    this.follower = follower;
    this.http = http;
    this.recorder = recorder;
  }

  /**
   * Starts a server. Models from fixed places are loaded before this method returns; the others
   * when they are announced.
   *
   * @param backends opens backends of one kind
   * @throws IOException if a checkpoint cannot be read, or the schema registry does not answer
   */
  public static Server start(ServeSettings settings, Supplier<Backend> backends, ModelLoader loader)
      throws IOException {
    ServeMetrics metrics = new ServeMetrics();
    Optional<RecordFormats> formats =
        settings.record().isPresent()
            ? Optional.of(new RecordFormats(settings.record().get().kafka()))
            : Optional.empty();
    SamplingLoop loop = new SamplingLoop(backends, loader);
    Follower follower = new Follower(settings.cache(), metrics);
    Optional<Recorder> recorder =
        settings
            .record()
            .map(record -> new Recorder(record, formats.orElseThrow(), metrics, Clock.systemUTC()));
    try {
      List<Lane> lanes = new ArrayList<>();
      settings.models().keySet().forEach(id -> lanes.add(loop.add(id, settings.lane())));
      Models models =
          new Models(lanes, settings.aliases(), () -> ThreadLocalRandom.current().nextDouble());
      for (Lane lane : lanes) {
        if (settings.models().get(lane.id()) instanceof ModelSource.Fixed fixed) {
          follower.load(lane, fixed.location());
        }
      }
      HttpServer http =
          new HttpServer(
              settings.http(),
              models,
              metrics,
              loop::isAlive,
              () -> recorder.map(Recorder::isReady).orElse(true),
              completion -> recorder.ifPresent(each -> each.record(completion)),
              fields -> recorder.orElseThrow(Server::notRecording).take(fields));
      for (Lane lane : lanes) {
        follow(settings, follower, lane);
      }
      return new Server(loop, follower, http, recorder);
    } catch (IOException | RuntimeException e) {
      recorder.ifPresent(Recorder::close);
      follower.close();
      loop.close();
      throw e;
    }
  }

  private static ApiException notRecording() {
    return ApiException.notFound(
        "not_recording", null, "this server takes no feedback; start it with --record");
  }

  private static void follow(ServeSettings settings, Follower follower, Lane lane) {
    switch (settings.models().get(lane.id())) {
      case ModelSource.Latest latest ->
          follower.follow(
              lane,
              settings.kafka(),
              latest.model(),
              false,
              settings.copies().resolve(lane.id()),
              settings.roots());
      case ModelSource.Promoted promoted ->
          follower.follow(
              lane,
              settings.kafka(),
              promoted.model(),
              true,
              settings.copies().resolve(lane.id()),
              settings.roots());
      case ModelSource.Fixed _ -> {}
    }
  }

  /** Address of the server, such as {@code http://127.0.0.1:8000}. */
  public String address() {
    return http.address();
  }

  public int port() {
    return http.port();
  }

  /** Ends requests in flight, and stops. */
  @Override
  public void close() {
    http.close();
    recorder.ifPresent(Recorder::close);
    follower.close();
    loop.close();
  }
}
