package io.millrace.cluster.metrics;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Properties;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/** Makes the reporter from the option {@code metrics.reporter.NAME.port}. */
public final class LoopbackPrometheusReporterFactory implements MetricReporterFactory {

  @Override
  public MetricReporter createMetricReporter(Properties properties) {
    return new LoopbackPrometheusReporter(
        new InetSocketAddress(
            InetAddress.getLoopbackAddress(),
            Integer.parseInt(properties.getProperty("port", "0"))));
  }
}
