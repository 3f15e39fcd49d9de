/** Records as bytes on Kafka and as JSON for people. */
package io.millrace.schemas.wire;
