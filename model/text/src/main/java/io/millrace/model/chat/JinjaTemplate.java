package io.millrace.model.chat;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.el.JinjavaProcessors;
import com.hubspot.jinjava.interpret.Context.Library;
import com.hubspot.jinjava.interpret.InterpretException;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError.ErrorType;
import com.hubspot.jinjava.lib.Importable;
import com.hubspot.jinjava.lib.filter.FilterLibrary;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import com.hubspot.jinjava.lib.tag.TagLibrary;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * A chat template: Jinja source that renders messages as text, as transformers' {@code
 * apply_chat_template} does. It is run only on the dialogues of {@link Probes}, never on user text,
 * within {@link JinjaLimits}. It gets only strings, numbers, lists and maps.
 */
final class JinjaTemplate {
  /** Stands for the bos token in rendered text. */
  static final String BOS = "\u0001bos\u0001";

  /** Stands for the eos token in rendered text. */
  static final String EOS = "\u0001eos\u0001";

  /** In characters; the longest templates in use have a fifth of it. */
  private static final int MAX_SOURCE = 1 << 16;

  /** The longest text that a template may make or print. */
  static final int MOST_CHARACTERS = 1 << 16;

  private static final int MOST_ELEMENTS = 1000;

  /** The tags of chat templates; the engine has others, some of which read files. */
  private static final Set<String> TAGS =
      Set.of("for", "if", "elif", "else", "set", "macro", "call", "raw", "do", "break", "continue");

  /** The filters of chat templates. Others could make texts of any length. */
  private static final Set<String> FILTERS =
      Set.of(
          ("abs attr bool capitalize count d default dictsort e escape escapejson first float int"
                  + " join last length list lower map reject rejectattr replace reverse round safe"
                  + " select selectattr slice sort split string title tojson trim truncate"
                  + " unique upper")
              .split(" "));

  /** The template engine, created on first use because it takes long to start. */
  private static final class Engine {
    private static final Jinjava JINJAVA = make();

    private static Jinjava make() {
      Jinjava jinjava =
          new Jinjava(
              JinjavaConfig.newBuilder()
                  .withTrimBlocks(false)
                  .withLstripBlocks(false)
                  .withMaxOutputSize(MOST_CHARACTERS)
                  .withMaxStringLength(MOST_CHARACTERS)
                  .withMaxListSize(MOST_ELEMENTS)
                  .withMaxMapSize(MOST_ELEMENTS)
                  .withRangeLimit(MOST_ELEMENTS)
                  .withMaxRenderDepth(10)
                  .withMaxMacroRecursionDepth(10)
                  .withDisabled(
                      Map.of(
                          Library.FILTER,
                          others(new FilterLibrary(true, Set.of()).entries(), FILTERS),
                          Library.TAG,
                          others(new TagLibrary(true, Set.of()).entries(), TAGS)))
                  .withElResolver(new JinjaMethods())
                  .withProcessors(
                      JinjavaProcessors.newBuilder()
                          .withNodePreProcessor((_, _) -> JinjaLimits.step())
                          .build())
                  .withNestedInterpretationEnabled(false)
                  .withLegacyOverrides(LegacyOverrides.NONE)
                  .build());
      jinjava
          .getGlobalContext()
          .registerFunction(
              new ELFunctionDefinition(
                  "", "raise_exception", JinjaTemplate.class, "refuse", String.class));
      jinjava.getGlobalContext().registerFilter(new JinjaMethods.Replace());
      return jinjava;
    }

    private static Set<String> others(Collection<? extends Importable> all, Set<String> used) {
      return all.stream()
          .map(Importable::getName)
          .filter(name -> !used.contains(name) && !name.startsWith("end"))
          .collect(Collectors.toUnmodifiableSet());
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
      Jinjava engine = Engine.JINJAVA;
      JinjaLimits.start();
      result = engine.renderForResult(source, context);
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
