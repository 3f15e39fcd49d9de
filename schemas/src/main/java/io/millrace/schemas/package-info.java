/** The Avro records of every topic, the topics themselves, and what makes a record valid. */
package io.millrace.schemas;
