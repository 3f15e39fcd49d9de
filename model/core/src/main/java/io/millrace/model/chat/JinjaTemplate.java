package io.millrace.model.chat;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.interpret.InterpretException;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError.ErrorType;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A chat template: Jinja source that renders messages as text, as transformers' {@code
 * apply_chat_template} does. It is run only on the dialogues of {@link Probes}, never on user text.
 * Its size, output and depth are limited, and it gets only strings, numbers, lists and maps.
 */
final class JinjaTemplate {
  /** Stands for the bos token in rendered text. */
  static final String BOS = "\u0001bos\u0001";

  /** Stands for the eos token in rendered text. */
  static final String EOS = "\u0001eos\u0001";

  /** In characters; the longest templates in use have a fifth of it. */
  private static final int MAX_SOURCE = 1 << 16;

  private static final long MAX_OUTPUT = 1 << 18;

  /** The template engine, created on first use because it takes long to start. */
  private static final class Engine {
    private static final Jinjava JINJAVA = make();

    private static Jinjava make() {
      Jinjava jinjava =
          new Jinjava(
              JinjavaConfig.newBuilder()
                  .withTrimBlocks(false)
                  .withLstripBlocks(false)
                  .withMaxOutputSize(MAX_OUTPUT)
                  .withMaxRenderDepth(10)
                  .withNestedInterpretationEnabled(false)
                  .withLegacyOverrides(LegacyOverrides.NONE)
                  .build());
      jinjava
          .getGlobalContext()
          .registerFunction(
              new ELFunctionDefinition(
                  "", "raise_exception", JinjaTemplate.class, "refuse", String.class));
      return jinjava;
    }
  }

  private final String source;

  /**
   * A template from its source.
   *
   * @throws IllegalArgumentException if the source is too long or is not Jinja
   */
  JinjaTemplate(String source) {
    if (source.length() > MAX_SOURCE) {
      throw new IllegalArgumentException(
          "it has %d characters, above the limit of %d".formatted(source.length(), MAX_SOURCE));
    }
    this.source = JinjaBlanks.resolved(source);
  }

  /**
   * The function {@code raise_exception} of templates. It is public because the engine finds it by
   * name.
   */
  @SuppressWarnings("DoNotCallSuggester")
  public static String refuse(String reason) {
    throw new InterpretException("the template says: " + reason);
  }

  /**
   * Renders a dialogue.
   *
   * @param addGenerationPrompt whether to end with the header of the response
   * @throws IllegalArgumentException if the template refuses the dialogue or fails
   */
  String render(List<Message> dialogue, boolean addGenerationPrompt) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (Message message : dialogue) {
      Map<String, Object> fields = new HashMap<>();
      fields.put("role", message.role().name().toLowerCase(Locale.ROOT));
      fields.put("content", message.content());
      messages.add(fields);
    }
    Map<String, Object> context = new HashMap<>();
    context.put("messages", messages);
    context.put("add_generation_prompt", addGenerationPrompt);
    context.put("bos_token", BOS);
    context.put("eos_token", EOS);
    RenderResult result;
    try {
      result = Engine.JINJAVA.renderForResult(source, context);
    } catch (RuntimeException e) {
      throw new IllegalArgumentException("it cannot be run: " + e.getMessage(), e);
    }
    result.getErrors().stream()
        .filter(error -> error.getSeverity() == ErrorType.FATAL)
        .findFirst()
        .ifPresent(
            error -> {
              throw new IllegalArgumentException(
                  "it cannot be run: " + reason(error.getMessage(), error.getException()));
            });
    return result.getOutput();
  }

  /** The innermost message, because the engine wraps the exceptions of functions. */
  private static String reason(String message, Throwable thrown) {
    String reason = message;
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      reason = cause.getMessage() == null ? reason : cause.getMessage();
    }
    return reason.lines().findFirst().orElse(message);
  }
}
