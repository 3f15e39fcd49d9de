package io.millrace.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * White-space control. The expected texts come from Jinja2 3.1 with trim_blocks and lstrip_blocks;
 * ⏎ stands for a line break.
 */
class JinjaBlanksTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      quoteCharacter = '`',
      value = {
        "a {{ x }} b⏎|a {{  x  }} b",
        "a⏎ {{ x }}⏎b|a⏎ {{  x  }}⏎b",
        "a ⏎ {{- x -}} ⏎ b|a{{  x  }}b",
        "a⏎  {% if y %}⏎b⏎  {% endif %}⏎c|a⏎{%  if y  %}b⏎{%  endif  %}c",
        "a  {% if y %}⏎⏎b{% endif %}|a  {%  if y  %}⏎b{%  endif  %}",
        "  {% if y %}b{% endif %}  c|{%  if y  %}b{%  endif  %}  c",
        "a⏎  {%+ if y +%}⏎b{% endif %}|a⏎  {%  if y  %}⏎b{%  endif  %}",
        "a⏎  {# '{{' #}⏎  b|a⏎  b",
        "a {#- no -#} b|ab",
        "{{ '}}' + \"%}\" + '\\'}}' }}|{{  '}}' + \"%}\" + '\\'}}'  }}",
        "{{ x }} {%- if y %}⏎  {%- endif %} b|{{  x  }}{%  if y  %}{%  endif  %} b",
      })
  void rendersLikeJinja(String source, String expected) {
    assertEquals(expected.replace('⏎', '\n'), JinjaBlanks.resolved(source.replace('⏎', '\n')));
  }

  @Test
  void refusesATagWithoutAnEnd() {
    assertThrows(IllegalArgumentException.class, () -> JinjaBlanks.resolved("a {{ b"));
    assertThrows(IllegalArgumentException.class, () -> JinjaBlanks.resolved("a {{ '}}"));
    assertThrows(IllegalArgumentException.class, () -> JinjaBlanks.resolved("{#"));
  }

  @Test
  void generationTagsAreTransparent() {
    for (String tag : new String[] {"{% generation %}", "{%- generation -%}", "{%generation%}"}) {
      String end = tag.replace("generation", "endgeneration");
      String source =
          TemplateForm.LLAMA2
              .source()
              .replace(
                  "{{ ' ' + message['content'] + ' ' + eos_token }}",
                  "{{ ' ' }}" + tag + "{{ message['content'] + ' ' + eos_token }}" + end);
      assertEquals(new Llama2Form(false), ChatForm.recognize(source), source);
    }
  }

  @Test
  void everyFormThatIsWrittenIsRecognized() {
    for (TemplateForm form : TemplateForm.values()) {
      assertEquals(
          form.name(),
          ChatForm.recognize(form.source())
              .title()
              .replaceAll("[ -]|Chat$", "")
              .toUpperCase(java.util.Locale.ROOT));
    }
  }
}
