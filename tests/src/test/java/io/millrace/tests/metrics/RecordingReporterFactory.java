package io.millrace.tests.metrics;

import java.util.List;
import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/** Makes the reporters of this process. */
public final class RecordingReporterFactory implements MetricReporterFactory {

  static final List<RecordingReporter> REPORTERS = new CopyOnWriteArrayList<>();

  @Override
  public MetricReporter createMetricReporter(Properties properties) {
    RecordingReporter reporter = new RecordingReporter();
    REPORTERS.add(reporter);
    return reporter;
  }
}
