/** A Kafka broker inside this process, for laptops and tests. */
package io.millrace.connectors.broker;
