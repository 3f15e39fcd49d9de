/** Schema registries with Confluent's interface, and the formats of topics. */
package io.millrace.connectors.registry;
