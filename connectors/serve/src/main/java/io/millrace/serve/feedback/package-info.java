/** What is served, and what people say of it, as training data in Kafka. */
package io.millrace.serve.feedback;
