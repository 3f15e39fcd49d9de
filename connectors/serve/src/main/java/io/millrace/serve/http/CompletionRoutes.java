package io.millrace.serve.http;

import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.CompletionRequest;
import io.millrace.serve.api.Fields;
import io.millrace.serve.completion.Choice;
import io.millrace.serve.completion.ClientGoneException;
import io.millrace.serve.completion.Completion;
import io.millrace.serve.completion.CompletionJson;
import io.millrace.serve.completion.Models;
import io.millrace.serve.metrics.ServeMetrics;
import io.millrace.serve.sampling.Lane;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** {@code /v1/chat/completions} and {@code /v1/completions}. */
final class CompletionRoutes {

  /** Asks for two responses to compare. */
  static final HeaderName COMPARE = HeaderNames.create("X-Millrace-Compare");

  static final HeaderName MODEL = HeaderNames.create("X-Millrace-Model");
  static final HeaderName VERSION = HeaderNames.create("X-Millrace-Version");
  static final HeaderName COMPLETION = HeaderNames.create("X-Millrace-Completion");

  private static final int LONGEST_USER = 512;

  private final Models models;
  private final RequestBody body;
  private final Duration deadline;
  private final Connections connections;
  private final ServeMetrics metrics;
  private final Clock clock;
  private final Consumer<Completion> completed;

  CompletionRoutes(
      Models models,
      RequestBody body,
      Duration deadline,
      Connections connections,
      ServeMetrics metrics,
      Clock clock,
      Consumer<Completion> completed) {
    this.models = models;
    this.body = body;
    this.deadline = deadline;
    this.connections = connections;
    this.metrics = metrics;
    this.clock = clock;
    this.completed = completed;
  }

  void chat(ServerRequest request, ServerResponse response) {
    Fields fields = body.read(request);
    CompletionRequest wanted = CompletionRequest.chat(fields);
    complete(request, response, fields, compares(request) ? wanted.comparing() : wanted);
  }

  void text(ServerRequest request, ServerResponse response) {
    Fields fields = body.read(request);
    CompletionRequest wanted = CompletionRequest.text(fields);
    complete(request, response, fields, compares(request) ? wanted.comparing() : wanted);
  }

  private static boolean compares(ServerRequest request) {
    String value = request.headers().first(COMPARE).orElse("");
    if (!value.isEmpty() && !value.equals("2")) {
      throw ApiException.badRequest(
          "invalid_value", "the header X-Millrace-Compare must be 2; it asks for two responses");
    }
    return !value.isEmpty();
  }

  private void complete(
      ServerRequest request, ServerResponse response, Fields fields, CompletionRequest wanted) {
    long start = System.nanoTime();
    Lane lane = models.choose(wanted.model(), fields.optionalText("user", LONGEST_USER));
    connections.of(request).ifPresent(Connections.Open::responds);
    BooleanSupplier gone =
        connections.of(request).<BooleanSupplier>map(open -> open::isGone).orElse(() -> false);
    Completion completion = Completion.begin(wanted, lane, clock.instant(), deadline);
    try {
      List<Choice.Part> first = completion.next(gone);
      metrics.firstToken(lane.id(), seconds(start));
      response
          .header(MODEL, lane.id())
          .header(VERSION, Long.toString(completion.version()))
          .header(COMPLETION, completion.id());
      if (wanted.sampling().stream()) {
        stream(response, completion, first, gone);
      } else {
        while (!completion.isFinished()) {
          completion.next(gone);
        }
        completed.accept(completion);
        Responses.json(response, 200, new CompletionJson(completion).whole());
      }
      metrics.completed(lane.id(), seconds(start));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw ApiException.unavailable("stopping", Duration.ofSeconds(1), "the server stops");
    } catch (ClientGoneException e) {
      metrics.cancelled();
      throw new CloseConnectionException("the client of " + completion.id() + " has gone", e);
    } finally {
      completion.cancel();
    }
  }

  private void stream(
      ServerResponse response, Completion completion, List<Choice.Part> first, BooleanSupplier gone)
      throws InterruptedException {
    CompletionJson json = new CompletionJson(completion);
    boolean everyToken =
        completion.request().sampling().logProbs() || completion.request().sampling().tokenIds();
    EventStream events = new EventStream(response);
    if (completion.request().chat()) {
      for (Choice choice : completion.choices()) {
        events.add(json.role(choice));
      }
    }
    try {
      List<Choice.Part> parts = first;
      while (!parts.isEmpty()) {
        if (completion.isFinished()) {
          completed.accept(completion);
        }
        for (Choice.Part part : parts) {
          if (everyToken || part.finish() != null || !part.text().isEmpty()) {
            events.add(json.part(part));
          }
        }
        events.flush();
        parts = completion.next(gone);
      }
      if (completion.request().sampling().includeUsage()) {
        events.add(json.usagePart());
      }
    } catch (ApiException e) {
      // The status was sent with the first part.
      metrics.refused(e.code());
      events.add(e.body());
    }
    events.done();
  }

  private static double seconds(long start) {
    return (System.nanoTime() - start) / 1e9;
  }
}
