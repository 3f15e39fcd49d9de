/** {@code millrace annotators}: how reliable people and sources are. */
package io.millrace.cli.annotators;
