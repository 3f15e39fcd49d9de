package io.millrace.model.chat;

import com.hubspot.jinjava.el.JinjavaInterpreterResolver;
import com.hubspot.jinjava.interpret.InterpretException;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.lib.exptest.ExpTest;
import com.hubspot.jinjava.lib.filter.Filter;
import com.hubspot.jinjava.objects.collections.PyList;
import io.millrace.model.tokenizer.Texts;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import jinjava.javax.el.ELContext;
import jinjava.javax.el.ELResolver;

/**
 * The methods that a chat template can call: those of Python's strings that published templates
 * use, and those of the engine's lists and maps. The engine alone would offer every method of the
 * Java class, also {@code repeat}, and {@code matches} with any regular expression.
 */
final class JinjaMethods extends ELResolver {
  private final ELResolver engine = JinjavaInterpreterResolver.DEFAULT_RESOLVER_READ_WRITE;

  @Override
  public Object invoke(
      ELContext context, Object base, Object method, Class<?>[] types, Object[] arguments) {
    if (base instanceof String text) {
      context.setPropertyResolved(true);
      return call(text, String.valueOf(method), arguments);
    }
    // The engine itself calls filters and tests as methods.
    if (base instanceof List<?>
        || base instanceof Map<?, ?>
        || base instanceof Filter
        || base instanceof ExpTest) {
      return engine.invoke(context, base, method, types, arguments);
    }
    throw unsupported(String.valueOf(method));
  }

  /** The filter {@code replace}; the engine's own makes texts of any length. */
  static final class Replace implements Filter {
    @Override
    public String getName() {
      return "replace";
    }

    @Override
    public Object filter(Object value, JinjavaInterpreter interpreter, String... arguments) {
      if (value == null || arguments.length < 2) {
        throw new InterpretException("the filter replace needs a text and two arguments");
      }
      return replaced(value.toString(), arguments[0], arguments[1]);
    }
  }

  private static Object call(String text, String method, Object[] arguments) {
    String first = arguments.length > 0 ? String.valueOf(arguments[0]) : "";
    return switch (method + "/" + arguments.length) {
      case "strip/0", "trim/0" -> Texts.pythonStrip(text);
      case "lstrip/0" -> {
        String marked = Texts.pythonStrip(text + "|");
        yield marked.substring(0, marked.length() - 1);
      }
      case "rstrip/0" -> Texts.pythonStrip("|" + text).substring(1);
      case "strip/1" -> stripped(text, first, true, true);
      case "lstrip/1" -> stripped(text, first, true, false);
      case "rstrip/1" -> stripped(text, first, false, true);
      case "startswith/1", "startsWith/1" -> text.startsWith(first);
      case "endswith/1", "endsWith/1" -> text.endsWith(first);
      case "find/1" -> (long) text.indexOf(first);
      case "upper/0" -> text.toUpperCase(Locale.ROOT);
      case "lower/0" -> text.toLowerCase(Locale.ROOT);
      case "title/0" -> title(text);
      case "capitalize/0" ->
          text.isEmpty()
              ? text
              : text.substring(0, 1).toUpperCase(Locale.ROOT)
                  + text.substring(1).toLowerCase(Locale.ROOT);
      case "split/0" -> list(Texts.pythonStrip(text).split("\\s+"));
      case "split/1" -> list(text.split(Pattern.quote(first), -1));
      case "split/2" -> list(text.split(Pattern.quote(first), limit(arguments[1])));
      case "replace/2" -> replaced(text, first, String.valueOf(arguments[1]));
      case "join/1" -> joined(text, arguments[0]);
      default -> throw unsupported(method);
    };
  }

  /** Python counts the cuts, Java the parts. */
  private static int limit(Object cuts) {
    return cuts instanceof Number number && number.intValue() >= 0
        ? Math.min(number.intValue(), JinjaTemplate.MOST_CHARACTERS) + 1
        : -1;
  }

  private static PyList list(String... parts) {
    return new PyList(Arrays.asList((Object[]) parts));
  }

  private static String stripped(String text, String characters, boolean start, boolean end) {
    int from = 0;
    int to = text.length();
    while (start && from < to && characters.indexOf(text.charAt(from)) >= 0) {
      from++;
    }
    while (end && to > from && characters.indexOf(text.charAt(to - 1)) >= 0) {
      to--;
    }
    return text.substring(from, to);
  }

  private static String replaced(String text, String target, String replacement) {
    long count = target.isEmpty() ? text.length() + 1L : text.length() / target.length();
    bounded(text.length() + count * replacement.length());
    return text.replace(target, replacement);
  }

  private static String joined(String separator, Object parts) {
    if (!(parts instanceof Iterable<?> iterable)) {
      throw unsupported("join");
    }
    long length = 0;
    for (Iterator<?> part = iterable.iterator(); part.hasNext(); ) {
      length += separator.length() + String.valueOf(part.next()).length();
    }
    bounded(length);
    return StreamSupport.stream(iterable.spliterator(), false)
        .map(String::valueOf)
        .collect(Collectors.joining(separator));
  }

  private static void bounded(long length) {
    if (length > JinjaTemplate.MOST_CHARACTERS) {
      throw new InterpretException(
          "it makes a text of more than %d characters".formatted(JinjaTemplate.MOST_CHARACTERS));
    }
  }

  private static String title(String text) {
    StringBuilder title = new StringBuilder(text.length());
    boolean letterBefore = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      title.append(letterBefore ? Character.toLowerCase(c) : Character.toUpperCase(c));
      letterBefore = Character.isLetter(c);
    }
    return title.toString();
  }

  private static InterpretException unsupported(String method) {
    return new InterpretException(
        "the method %s is not supported; supported are Python's most used ones of strings, and"
                .formatted(method)
            + " those of lists and maps");
  }

  @Override
  public Object getValue(ELContext context, Object base, Object property) {
    return engine.getValue(context, base, property);
  }

  @Override
  public Class<?> getType(ELContext context, Object base, Object property) {
    return engine.getType(context, base, property);
  }

  @Override
  public void setValue(ELContext context, Object base, Object property, Object value) {
    engine.setValue(context, base, property, value);
  }

  @Override
  public boolean isReadOnly(ELContext context, Object base, Object property) {
    return engine.isReadOnly(context, base, property);
  }

  @Override
  public Class<?> getCommonPropertyType(ELContext context, Object base) {
    return engine.getCommonPropertyType(context, base);
  }

  @Override
  public Iterator<java.beans.FeatureDescriptor> getFeatureDescriptors(
      ELContext context, Object base) {
    return engine.getFeatureDescriptors(context, base);
  }
}
