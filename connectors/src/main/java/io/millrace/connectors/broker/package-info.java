/** A Kafka broker inside this process, for a laptop and for tests. */
package io.millrace.connectors.broker;
