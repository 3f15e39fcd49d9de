package io.millrace.cluster.metrics;

import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.exporter.HTTPServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;
import org.apache.flink.metrics.prometheus.AbstractPrometheusReporter;

/** Flink's Prometheus endpoint on one address; Flink's own class listens on every interface. */
public final class LoopbackPrometheusReporter extends AbstractPrometheusReporter {

  private final HTTPServer server;

  LoopbackPrometheusReporter(InetSocketAddress address) {
    try {
      server = new HTTPServer(address, registry());
    } catch (IOException e) {
      throw new UncheckedIOException("the metrics cannot be served at " + address, e);
    }
  }

  /** Flink's class keeps its registry to its own package. */
  private CollectorRegistry registry() {
    try {
      Field field = AbstractPrometheusReporter.class.getDeclaredField("registry");
      field.setAccessible(true);
      return (CollectorRegistry) field.get(this);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("this Flink has another Prometheus reporter", e);
    }
  }

  /** The port on which this reporter listens. */
  public int port() {
    return server.getPort();
  }

  @Override
  public void close() {
    server.stop();
    super.close();
  }
}
