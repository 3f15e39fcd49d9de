package io.millrace.serve.notify;

import com.fasterxml.jackson.databind.JsonNode;

/** What engines say in the body of an answer with status 200. */
final class EngineAnswers {

  private EngineAnswers() {}

  /**
   * Checks the field {@code success}, if there is one.
   *
   * @throws EngineException with the engine's message if it is false
   */
  static void requireSuccess(EngineHttp http, String path, JsonNode answer) throws EngineException {
    if (!answer.path("success").asBoolean(true)) {
      throw new EngineException(
          EngineException.Kind.REFUSED,
          "%s answers %s with: %s"
              .formatted(
                  http,
                  path,
                  answer.path("message").asText(answer.path("error_message").asText("no reason"))));
    }
  }
}
