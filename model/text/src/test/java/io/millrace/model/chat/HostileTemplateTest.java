package io.millrace.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Templates that would run on, fill the memory or overflow the stack are refused, and the process
 * goes on.
 */
class HostileTemplateTest {
  private static final String CALL = "{% set x = m() %}" + Llama2Form.SOURCE;

  private static void refuses(String attack, String problem) {
    var e =
        assertTimeoutPreemptively(
            Duration.ofSeconds(30),
            () ->
                assertThrows(
                    IllegalArgumentException.class,
                    () -> ChatForm.recognize(attack + Llama2Form.SOURCE)),
            attack.substring(0, Math.min(80, attack.length())));
    assertTrue(e.getMessage().contains(problem), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    assertEquals(new Llama2Form(false), ChatForm.recognize(Llama2Form.SOURCE));
  }

  @Test
  void loops() {
    refuses(
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}"
            + "{% endfor %}".repeat(3),
        "for one dialogue");
    refuses(
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ '' }}" + "{% endfor %}".repeat(2),
        "for one dialogue");
    // The engine does not let a macro call itself.
    assertTimeoutPreemptively(
        Duration.ofSeconds(30),
        () -> ChatForm.recognize("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}" + CALL));
  }

  @Test
  void memory() {
    String loop = "{% for i in range(40) %}";
    String end = "{% endfor %}";
    String list = "greater than the maximum size of 1000";
    String text = "over limit of 65536";
    refuses("{% set x=[1,1,1,1,1,1,1,1] %}" + loop + "{% set x = x + x %}" + end, list);
    refuses("{% set x=[1] %}" + loop + "{% do x.extend(x) %}" + end, list);
    refuses("{% set x='aaaaaaaa' %}" + loop + "{% set x = x ~ x %}" + end, text);
    refuses("{% set x='aaaaaaaa' %}" + loop + "{% set x = x + x %}" + end, text);
    refuses("{% set n=namespace(x='aaaaaaaa') %}" + loop + "{% set n.x = n.x + n.x %}" + end, text);
    refuses(
        "{% set x='aaaaaaaa' %}" + loop + "{% set x = x.replace('a', 'aaaaaaaa') %}" + end,
        "a text of more than 65536 characters");
    refuses(
        "{% set x='aaaaaaaa' %}" + loop + "{% set x = x | replace('a', x) %}" + end,
        "a text of more than 65536 characters");
    refuses("{% set x={} %}{% set _ = x.update({'x': x}) %}{{ x }}", "nested too deeply");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ 'a'.repeat(1000000000) }}",
        "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('(a+)+') }}",
        "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.replaceAll('(a+)+b', '') }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ 'a\nb' | indent(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 1 | multiply(10) }}",
        "{{ 'x'.getClass() }}",
        "{{ messages.getClass().forName('java.lang.Runtime') }}",
        "{% include '/etc/passwd' %}",
        "{% import '/etc/passwd' as p %}",
        "{% extends '/etc/passwd' %}"
      })
  void methodsFiltersAndTags(String attack) {
    refuses(attack, "it cannot be run: ");
  }

  @Test
  void nesting() {
    refuses("{% if 1 %}".repeat(3000) + "{% endif %}".repeat(3000), "tags are nested more than 50");
    for (String brackets : new String[] {"()", "[]"}) {
      refuses(
          "{{ "
              + brackets.substring(0, 1).repeat(20_000)
              + "1"
              + brackets.substring(1).repeat(20_000)
              + " }}",
          "brackets are nested more than 50");
    }
    refuses("{{ messages" + ".a".repeat(20_000) + " }}", "nested too deeply");
    refuses("{{ 'x'" + " | upper".repeat(6000) + " }}", "it renders the user turn");
  }
}
