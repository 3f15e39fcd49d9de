package io.millrace.report.page;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.interpret.RenderResult;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * Renders the templates of this package. People and models wrote many of the texts, and some of
 * them are hostile. The engine escapes every value and never reads a value as a template.
 */
final class Templates {

  private static final int REPLACEMENT = 0xFFFD;

  private static final ObjectMapper JSON = new ObjectMapper();

  private Templates() {}

  /** Made at its first use: the engine takes a while to start. */
  private static final class Engine {
    private static final Jinjava JINJAVA = make();

    private static Jinjava make() {
      Jinjava jinjava =
          new Jinjava(
              JinjavaConfig.newBuilder()
                  .withTrimBlocks(true)
                  .withLstripBlocks(true)
                  .withNestedInterpretationEnabled(false)
                  .withFailOnUnknownTokens(true)
                  .withLegacyOverrides(LegacyOverrides.NONE)
                  .build());
      jinjava.getGlobalContext().setAutoEscape(true);
      jinjava.setResourceLocator(Templates::source);
      return jinjava;
    }
  }

  /**
   * Renders a template.
   *
   * @param name the variable of the template that has the model
   * @param model a record; the template sees only strings, numbers, lists and maps
   * @throws IllegalStateException where the template does not fit the model
   */
  static String render(String template, String name, Object model) {
    Map<String, Object> values = JSON.convertValue(model, new TypeReference<>() {});
    RenderResult result = Engine.JINJAVA.renderForResult(source(template), Map.of(name, values));
    if (result.hasErrors()) {
      throw new IllegalStateException("%s: %s".formatted(template, result.getErrors().getFirst()));
    }
    return xml(result.getOutput());
  }

  private static String source(String name, Charset charset, JinjavaInterpreter interpreter) {
    return source(name);
  }

  private static String source(String name) {
    try (InputStream file = Templates.class.getResourceAsStream(name)) {
      if (file == null) {
        throw new IllegalStateException("the class path has no template " + name);
      }
      return new String(file.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Replaces the characters that XML 1.0, section 2.2, forbids: controls and lone surrogates. */
  private static String xml(String text) {
    if (text.codePoints().allMatch(Templates::isAllowed)) {
      return text;
    }
    StringBuilder allowed = new StringBuilder(text.length());
    text.codePoints().forEach(c -> allowed.appendCodePoint(isAllowed(c) ? c : REPLACEMENT));
    return allowed.toString();
  }

  private static boolean isAllowed(int c) {
    return c == '\t'
        || c == '\n'
        || c == '\r'
        || (c >= 0x20 && c <= 0xD7FF)
        || (c >= 0xE000 && c <= 0xFFFD)
        || c >= 0x10000;
  }
}
