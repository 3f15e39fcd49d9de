package io.millrace.jobs.testkit;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/**
 * Prints each skipped test with the reason when a module's tests have run. Surefire's own summary
 * has only their number. JUnit finds this class by {@code ServiceLoader}, in every module that
 * depends on the test kit.
 */
public final class SkippedTests implements TestExecutionListener {

  private final PrintStream out;
  private final List<String> lines = Collections.synchronizedList(new ArrayList<>());

  /** For {@code ServiceLoader}. */
  public SkippedTests() {
    this(System.out);
  }

  SkippedTests(PrintStream out) {
    this.out = out;
  }

  /** A test that an annotation disables. */
  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    add(test, reason);
  }

  /** A test that an assumption ends. */
  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
      add(test, result.getThrowable().map(Throwable::getMessage).orElse("no reason given"));
    }
  }

  @Override
  public void testPlanExecutionFinished(TestPlan plan) {
    lines.forEach(out::println);
    lines.clear();
  }

  private void add(TestIdentifier test, String reason) {
    lines.add(
        "SKIPPED %s: %s"
            .formatted(
                test.getSource().map(s -> name(s, test)).orElse(test.getDisplayName()), reason));
  }

  private static String name(TestSource source, TestIdentifier test) {
    return switch (source) {
      case MethodSource method ->
          "%s.%s %s"
              .formatted(
                  simple(method.getClassName()), method.getMethodName(), test.getDisplayName());
      case ClassSource type -> simple(type.getClassName());
      default -> test.getDisplayName();
    };
  }

  private static String simple(String className) {
    return className.substring(className.lastIndexOf('.') + 1);
  }
}
